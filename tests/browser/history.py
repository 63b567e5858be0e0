"""`python -m tests.browser.history FILE`: events of past requests, taken in as the worker would have taken them in.

A process of its own, for it reads the product's settings. Gateways learn of it by `ias projection rebuild`.
"""

import sys
from pathlib import Path

import uvloop

from ias.analytics import doors as analytics
from ias.billing import doors as billing
from ias.contract.usage import UsageRecorded, decode_batch
from ias.db import close_pool, open_pool
from ias.intake import take_in
from ias.settings import settings


async def main(events: tuple[UsageRecorded, ...]) -> None:
    """Take them in."""
    await open_pool(settings().database_url, 4, "history")
    try:
        await take_in(billing.INTAKE, events)
        await take_in(analytics.INTAKE, events)
    finally:
        await close_pool()


if __name__ == "__main__":
    uvloop.run(main(decode_batch(Path(sys.argv[1]).read_bytes())))

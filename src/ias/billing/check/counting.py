"""Having Redis count what some keys use of this month: from one moment on, and what they had used before is added.

Until that is done their caps bind nobody. Exact under load, by the order of reading that the check has (see `domain`).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, cast
from uuid import UUID

from ias.billing.check.domain import Fields, Waiting, add, waiting
from ias.billing.check.queries import seen
from ias.billing.ledger import outbox
from ias.contract import admission, books, key_records
from ias.contract.admission import text
from ias.contract.books import Month
from ias.contract.key_records import Begun, of_key
from ias.db import EVERYWHERE, Connection, snapshot, sole
from ias.edge import Edge, EdgeDown
from ias.identity import Caps, Tenant, capped

PAGE: Final = 1000
ATTEMPTS, AGAIN_S = 400, 0.05
"""The janitor is at it for milliseconds, the minute check for seconds where there are many organisations."""
NOT_YET: Final = "-1"
"""The cap of a key in Redis that is counted and not limited yet, see `ias_count`."""
AT_ONCE: Final = 500
"""Keys of one call; each costs Redis a few microseconds."""

_BOOKED = """
SELECT period, key_id, sum(prompt_tokens + completion_tokens)::bigint AS tokens FROM billing.spend
WHERE org_id = $1 AND key_id = ANY($2) GROUP BY period, key_id
"""


async def count_keys(edge: Edge, org: Tenant, keys: Caps) -> None:
    """Have Redis count what these keys use, from their first token of this month on.

    Where it lost the month, nothing is done: `restore` does it for all that have a cap.

    Raises:
        EdgeDown: Redis did not confirm, or was emptied meanwhile.
        DatabaseDown: PostgreSQL does not answer.
    """
    ids = list(keys)
    for start in range(0, len(ids), AT_ONCE):
        await _count(edge, org, {key: keys[key] for key in ids[start : start + AT_ONCE]})


async def count_capped(edge: Edge, org: Tenant) -> None:
    """The same of every key that has a cap which Redis does not go by yet: what its month says may be of old.

    Raises:
        EdgeDown: Redis did not confirm, or was emptied meanwhile.
        DatabaseDown: PostgreSQL does not answer.
    """
    caps = (await capped([org.id])).get(org.id, {})
    if not caps:
        return
    records = [("HGET", f"{admission.slot(org.tag)}:k:{fingerprint}", "cap") for fingerprint in caps.values()]
    bound = [NOT_YET if cap is None else text(cast("bytes", cap)) for cap in await edge.calls(records)]
    await count_keys(edge, org, {key: caps[key] for key, cap in zip(caps, bound, strict=True) if cap == NOT_YET})


async def _count(edge: Edge, org: Tenant, keys: Caps) -> None:
    async with _nobody_deletes(), snapshot(EVERYWHERE) as connection:
        booked = await connection.fetch(_BOOKED, org.id, [UUID(key) for key in keys])
        begun = key_records.read_count(
            await edge.call(key_records.count(org.tag, [(fingerprint, key) for key, fingerprint in keys.items()]))
        )
        if begun is None:
            return
        open_ones = await _unbooked(connection, await _waiting(edge, org, begun))
    sums = {of_key(str(row["key_id"])): row["tokens"] for row in booked if row["period"] == begun.period}
    months = {begun.period: sums}
    for one in open_ones:
        add(months, one)
    missing: Fields = {
        field: sums.get(field, 0) - counted for field, counted in zip(map(of_key, keys), begun.counted, strict=True)
    }
    wrong = {field: tokens for field, tokens in missing.items() if tokens}
    month = Month(begun.period, begun.fence, {})
    if wrong and await edge.call(books.repair(org.tag, month, wrong)) != 1:
        raise EdgeDown(f"Redis began to count organisation {org.id} anew; do it again")


@asynccontextmanager
async def _nobody_deletes() -> AsyncIterator[None]:
    """While nobody deletes from the outboxes."""
    for _ in range(ATTEMPTS):
        async with sole(outbox.JANITOR) as got:
            if got:
                yield
                return
        await asyncio.sleep(AGAIN_S)
    raise EdgeDown("the books have been under examination for long; do it again")


async def _waiting(edge: Edge, org: Tenant, begun: Begun) -> list[Waiting]:
    """What of the month was in the outbox when counting began; the ledger may have it too."""
    found: list[Waiting] = []
    after: dict[str, bytes] = {}
    last = outbox.order(begun.last or b"0-0")
    while entries := await outbox.first(edge, [org.tag], after, PAGE):
        inside = [entry for entry in entries if outbox.order(entry.id) <= last]
        found += [one for entry in inside if (one := waiting(entry.fields)) is not None and one.period == begun.period]
        if len(inside) < len(entries):
            break
        after = {org.tag: entries[-1].id}
    return found


async def _unbooked(connection: Connection, some: Sequence[Waiting]) -> list[Waiting]:
    booked = await seen(connection, [one.place for one in some if one.place is not None])
    return [one for one in some if one.place not in booked]

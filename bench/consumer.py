"""`python -m bench.consumer QUEUE…`: the worker's consumers of these queues and nothing beside them, until SIGTERM."""

import asyncio
import signal
import sys
from collections.abc import Sequence

import uvloop

from ias.bus import Bus
from ias.db import close_pool, open_pool
from ias.intake import Inlet
from ias.settings import settings
from ias.telemetry import configure_logging
from ias.worker import INTAKES, LEAST_POOL


async def consume(queues: Sequence[str]) -> None:
    """Consume until told to end."""
    configure_logging("consumer", "INFO")
    await open_pool(settings().database_url, LEAST_POOL, "consumer")
    bus = Bus(settings().amqp_url, {queue: Inlet(INTAKES[queue]).take for queue in queues})
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    await bus.watch()
    await told.wait()
    await bus.close()
    await close_pool()


if __name__ == "__main__":
    uvloop.run(consume(sys.argv[1:]))

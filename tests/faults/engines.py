"""What is done to the engine, by it, and to the way there."""

import asyncio
from functools import partial
from typing import Any

from tests.faults.load import Load
from tests.faults.matrix import Fault
from tests.faults.rig import Rig

LINK = "gateway engine"


async def killed(rig: Rig, load: Load) -> None:
    rig.process("engine").kill()
    await asyncio.sleep(0.5)
    await asyncio.to_thread(rig.restart, "engine")


async def errs(rig: Rig, load: Load) -> None:
    """It does what the directive says, in one request of five."""
    await load.reaches(load.succeeded + 150)
    load.directive = ""


async def harmed(seconds: float, harm: dict[str, Any], rig: Rig, load: Load) -> None:
    with rig.links[LINK].doing(**harm):
        await asyncio.sleep(seconds)


async def reset(rig: Rig, load: Load) -> None:
    for _ in range(5):
        rig.links[LINK].reset()
        await asyncio.sleep(0.5)


FAULTS = (
    Fault("engine: kill -9", killed, unheard=True),
    Fault("engine: hangs mid-stream", errs, directive="hang_after=3"),
    Fault("engine: hangs before its first token", errs, directive="hang_after=0"),
    Fault("engine: dies mid-stream", errs, directive="die_after=4"),
    Fault("engine: dies before its first token", errs, directive="die_after=0"),
    Fault("engine: an error in the stream", errs, directive="error_chunk_after=4"),
    Fault("engine: answers 503", errs, directive="status=503"),
    Fault("engine: reports no usage", errs, directive="no_usage"),
    Fault("engine: reports a usage of zero", errs, directive="zero_usage"),
    Fault("engine: usage decreases", errs, directive="usage_decreases"),
    Fault("gateways to engine: reset again and again", reset),
    Fault("gateways to engine: silent for 4 s", partial(harmed, 4, {"blackhole": True})),
    Fault("gateways to engine: answers cut after 2,000 bytes", partial(harmed, 3, {"truncate": 2000})),
    Fault("gateways to engine: in slices of one byte", partial(harmed, 2, {"slices": True})),
)

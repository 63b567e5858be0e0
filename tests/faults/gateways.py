"""What is done to gateways."""

import asyncio
import random
import signal
from functools import partial

from ias.contract.crashpoints import Crashpoint
from tests.faults.asking import Answer, ask
from tests.faults.load import Load
from tests.faults.matrix import Fault
from tests.faults.rig import LEASE_S, Rig

KILLS = 20
NAMES = ("gateway", "second-gateway")
DIES_WITHIN_S = 60.0
STREAMS = 50
SPOOLED = 200
"""Bytes of a spool file that something is in."""
BLIND_MS = 3000
"""Streams that are open without Redis have no newer checkpoint."""
LONG = 5
"""Of them go on beyond the drain window."""


async def killed_at_random(rig: Rig, load: Load) -> None:
    """One gateway after the other, in no rhythm."""
    dice = random.Random(20)
    for number in range(KILLS):
        name = NAMES[number % 2]
        await asyncio.sleep(dice.uniform(0.05, 0.6))
        rig.process(name).kill()
        await asyncio.to_thread(rig.restart, name)


async def killed_at(point: Crashpoint, rig: Rig, load: Load) -> None:
    """It kills itself the seventh time that it is there."""
    name = NAMES[1]
    await asyncio.to_thread(rig.process(name).end)
    rig.begin(name, IAS_CRASHPOINT=f"{point}:7")
    await load.until(lambda: rig.ended(name), DIES_WITHIN_S)
    await asyncio.to_thread(rig.restart, name)


async def stopped(rig: Rig, load: Load) -> None:
    """It stands still for longer than its lease, is swept, and goes on."""
    rig.first.signal(signal.SIGSTOP)
    try:
        await asyncio.sleep(LEASE_S + 4)
    finally:
        rig.first.signal(signal.SIGCONT)


async def told_to_end(rig: Rig, load: Load) -> None:
    """SIGTERM with many streams open: all that end within the drain window are whole, the others are told."""
    gateway = rig.gateways[1]
    drain = float(rig.second.env["IAS_DRAIN_TIMEOUT"])
    lengths = [round(0.4 * drain * 1000)] * (STREAMS - LONG) + [round(3 * drain * 1000)] * LONG
    streams = [
        asyncio.create_task(
            ask(gateway, rig.tokens["free"], f"tokens=40 delay_ms={ms // 40}", stream=True, max_tokens=40)
        )
        for ms in lengths
    ]
    await load.until(lambda: rig.running() >= STREAMS, DIES_WITHIN_S)
    code = await asyncio.to_thread(rig.second.end)
    ends: list[Answer] = list(await asyncio.gather(*streams))
    await asyncio.to_thread(rig.restart, NAMES[1])
    for answer in ends:
        rig.witness.admit(answer.request_id, None)
    whole = sum(answer.whole for answer in ends[:-LONG])
    told = sum(answer.whole or answer.told for answer in ends[-LONG:])
    rig.figures["P11 dropped"] = STREAMS - whole - told
    assert code == 0, f"it ended with {code}"
    assert (whole, told) == (STREAMS - LONG, LONG), f"{whole} were whole, {told} told of the end"


async def killed_with_a_spool(rig: Rig, load: Load) -> None:
    """Redis does not answer it, it has settlements on its disk, and is killed: the next one finds them."""
    link = rig.links["second-gateway redis"]
    spools = rig.product.folder / "spool"
    with link.doing(refuse=True):
        link.reset()
        await load.until(lambda: any(file.stat().st_size > SPOOLED for file in spools.glob("*.spool")), DIES_WITHIN_S)
        rig.second.kill()
    await asyncio.to_thread(rig.restart, NAMES[1])


async def both_killed(rig: Rig, load: Load) -> None:
    """Both at once: nobody is there to serve."""
    for name in NAMES:
        rig.process(name).kill()
    await asyncio.sleep(1)
    await asyncio.gather(*(asyncio.to_thread(rig.restart, name) for name in NAMES))


FAULTS = (
    Fault(f"gateway: kill -9, {KILLS} times at random", killed_at_random),
    *(Fault(f"gateway: kill -9 {point}", partial(killed_at, point)) for point in list(Crashpoint)[:5]),
    Fault("gateway: both killed -9 at once", both_killed),
    Fault("gateway: kill -9 with settlements in its spool file", killed_with_a_spool, blind_ms=BLIND_MS),
    Fault(f"gateway: SIGSTOP {LEASE_S + 4} s (lease {LEASE_S} s), SIGCONT", stopped),
    Fault(f"gateway: SIGTERM with {STREAMS} open streams", told_to_end),
)

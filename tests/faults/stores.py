"""What is done to Redis, and to the way there."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import redis.asyncio as aioredis

from tests.faults.harms import Cut
from tests.faults.load import Load
from tests.faults.matrix import Fault
from tests.faults.proxy import Proxy
from tests.faults.rig import LEASE_S, Rig

STOPPED_S = LEASE_S + 2
GONE_S = 0.5
CUTS = 5
Command = tuple[str, ...]


async def killed(rig: Rig, load: Load) -> None:
    redis = rig.parts["redis"]
    await asyncio.to_thread(redis.kill)
    await asyncio.sleep(GONE_S)
    await asyncio.to_thread(redis.start)


async def stopped(rig: Rig, load: Load) -> None:
    rig.parts["redis"].stop()
    try:
        await asyncio.sleep(STOPPED_S)
    finally:
        rig.parts["redis"].cont()


async def emptied(rig: Rig, load: Load) -> None:
    await _told(rig, ("FLUSHALL",))


async def wiped(rig: Rig, load: Load) -> None:
    redis = rig.parts["redis"]
    await asyncio.to_thread(redis.wipe)
    await asyncio.to_thread(redis.start)


async def deprived(setting: str, while_it_lasts: str, usual: str, rig: Rig, load: Load) -> None:
    """It refuses to write for a while, and still reads."""
    await _told(rig, ("CONFIG", "SET", setting, while_it_lasts))
    try:
        await asyncio.sleep(3)
    finally:
        await _told(rig, ("CONFIG", "SET", setting, usual))


async def cut(pattern: bytes, answer_lost: bool, rig: Rig, load: Load) -> None:
    """Each gateway's connection breaks where a call passes, several times."""
    cuts = []
    for link in _links(rig):
        cuts.append(Cut(pattern, answer_lost=answer_lost, times=CUTS))
        link.do(cut=cuts[-1])
    try:
        await load.until(lambda: all(one.done >= CUTS for one in cuts), 60)
    finally:
        _heal(rig)


async def harmed(seconds: float, harm: dict[str, Any], rig: Rig, load: Load) -> None:
    """Something lasts for a while on the way of both gateways."""
    for link in _links(rig):
        link.do(**harm)
    try:
        await asyncio.sleep(seconds)
    finally:
        _heal(rig)


async def broken(verb: Callable[[Proxy], None], rig: Rig, load: Load) -> None:
    """Every connection of the gateways breaks, again and again."""
    for _ in range(CUTS):
        for link in _links(rig):
            verb(link)
        await asyncio.sleep(0.6)


async def one_cut_off(rig: Rig, load: Load) -> None:
    """One gateway is apart from Redis for longer than its lease, the other is not."""
    with rig.links["gateway redis"].doing(blackhole=True):
        await asyncio.sleep(LEASE_S + 4)


async def _told(rig: Rig, command: Command) -> None:
    client = aioredis.from_url(rig.parts["redis"].url)
    try:
        await client.execute_command(*command)
    finally:
        await client.aclose()


def _links(rig: Rig) -> tuple[Proxy, Proxy]:
    return rig.links["gateway redis"], rig.links["second-gateway redis"]


def _heal(rig: Rig) -> None:
    for link in _links(rig):
        link.do()


def _way(name: str, deed: Callable[[Rig, Load], Awaitable[None]]) -> Fault:
    return Fault(f"gateways to Redis: {name}", deed)


FAULTS = (
    Fault("Redis: kill -9", killed),
    Fault(f"Redis: SIGSTOP {STOPPED_S} s, SIGCONT", stopped),
    Fault("Redis: FLUSHALL", emptied),
    Fault("Redis: data folder deleted", wiped),
    Fault("Redis: memory full for 3 s", partial(deprived, "maxmemory", "1", "0")),
    Fault("Redis: refuses writes for 3 s, reads work", partial(deprived, "min-replicas-to-write", "1", "0")),
    _way("answer to a settle lost", partial(cut, b"ias_settle", True)),
    _way("cut before a settle", partial(cut, b"ias_settle", False)),
    _way("answer to a reserve lost", partial(cut, b"ias_reserve", True)),
    _way("cut before a reserve", partial(cut, b"ias_reserve", False)),
    _way("answer to a tick lost", partial(cut, b"ias_tick", True)),
    _way("+50 ms", partial(harmed, 4, {"latency_s": 0.025})),
    _way("+400 ms, later than they wait", partial(harmed, 4, {"latency_s": 0.2})),
    _way("silent for 3 s", partial(harmed, 3, {"blackhole": True})),
    _way("answers cut after 3,000 bytes", partial(harmed, 3, {"truncate": 3000})),
    _way("in slices of one byte", partial(harmed, 2, {"slices": True})),
    _way("reset again and again", partial(broken, Proxy.reset)),
    _way("half-closed again and again", partial(broken, Proxy.half_close)),
    _way("one of them silent beyond its lease", one_cut_off),
)

"""How Redis is: every shard reachable, keeping what it is told, never evicting, on time, with our Function library."""

import asyncio
import time
from collections.abc import Mapping
from typing import cast

import msgspec

from ias.contract import admission
from ias.contract.admission import text
from ias.contract.redis_url import Kind, read_redis_url
from ias.contract.shards import Shard
from ias.edge import Edge, EdgeDown
from ias.settings import settings
from ias.vitals.findings import Figure, Finding, judged, listed, well, wrong

NAME = "redis"
ANSWER_S = 2.0
FULL = 0.8
"""Gateways shed at this share of the memory."""
SKEW_S = 30.0
"""Gateways are not ready beyond."""
_KINDS = {Kind.ALONE: "alone", Kind.SENTINEL: "sentinel", Kind.CLUSTER: "cluster"}
_SYNCED = {"everysec", "always"}


class _Server(msgspec.Struct, frozen=True):
    """A shard as it told of itself, or why it did not."""

    name: str
    failure: str = ""
    about: Mapping[str, object] = {}
    synced: str = ""
    skew_s: float = 0.0
    has_library: bool = False

    def tells(self, field: str, expected: object) -> bool:
        """Whether INFO says this."""
        return self.about.get(field) == expected

    @property
    def filled(self) -> float:
        """Memory used of the memory allowed; 0 where all is allowed."""
        most = int(str(self.about.get("maxmemory", 0)))
        return int(str(self.about.get("used_memory", 0))) / most if most else 0.0


async def look(edge: Edge) -> list[Finding]:
    """Redis's findings."""
    kind = _KINDS[read_redis_url(settings().redis_url).kind]
    try:
        servers = await asyncio.gather(*(_ask(edge, shard) for shard in await edge.shards()))
    except EdgeDown as error:
        return [_reachable(str(error), 0)]
    failures = [server.failure for server in servers if server.failure]
    up = [server for server in servers if not server.failure]
    found = _reachable(listed(failures), 0) if failures or not up else _reachable("", 1)
    versions = sorted({_version(server.about) for server in up})
    there = f"{kind}, {len(servers)} shard{'' if len(servers) == 1 else 's'}: {', '.join(versions)}"
    return [found, well(NAME, "kind", there, Figure("ias_redis_shards", len(servers), kind)), *_judge(up)]


def _reachable(failure: str, up: int) -> Finding:
    remedy = "start Redis, or correct IAS_REDIS_URL; until then gateways answer 503"
    finding = wrong(NAME, "reachable", failure or "every shard answers", remedy, Figure("ias_redis_up", up))
    return judged(not failure, finding)


def _judge(up: list[_Server]) -> list[Finding]:
    return [_persistence(up), _policy(up), _memory(up), _clock(up), _library(up)] if up else []


def _persistence(up: list[_Server]) -> Finding:
    bad = [
        server.name
        for server in up
        if not (
            server.tells("aof_enabled", 1) and server.synced in _SYNCED and server.tells("aof_last_write_status", "ok")
        )
    ]
    said = f"not kept on disk each second: {listed(bad)}" if bad else "append-only file, synced each second"
    remedy = "set appendonly yes and appendfsync everysec, and see that the disk has room"
    return judged(
        not bad, wrong(NAME, "persistence", said, remedy, Figure("ias_redis_shards_not_persistent", len(bad)))
    )


def _policy(up: list[_Server]) -> Finding:
    bad = [server.name for server in up if not server.tells("maxmemory_policy", "noeviction")]
    said = f"keys may be evicted: {listed(bad)}" if bad else "noeviction"
    remedy = "set maxmemory-policy noeviction: an evicted limit or reservation is a lost one"
    return judged(not bad, wrong(NAME, "eviction", said, remedy, Figure("ias_redis_shards_evicting", len(bad))))


def _memory(up: list[_Server]) -> Finding:
    fullest = max(up, key=lambda server: server.filled)
    limited = any(int(str(server.about.get("maxmemory", 0))) for server in up)
    said = f"{fullest.filled:.0%} used, at {fullest.name}" if limited else "no maxmemory is set"
    remedy = "give it more maxmemory, or more shards; gateways turn requests away from 80 % on"
    used = sum(int(str(server.about.get("used_memory", 0))) for server in up)
    figures = (Figure("ias_redis_memory_ratio", fullest.filled), Figure("ias_redis_memory_bytes", used))
    finding = wrong(NAME, "memory", said, remedy, *figures)
    return judged(fullest.filled < FULL, finding)


def _clock(up: list[_Server]) -> Finding:
    most = max(up, key=lambda server: abs(server.skew_s))
    said = f"{most.skew_s:+.1f} s to ours, at {most.name}"
    remedy = "set the clocks of these machines by NTP: beyond 30 s gateways are not ready"
    finding = wrong(NAME, "clock", said, remedy, Figure("ias_redis_clock_skew_seconds", most.skew_s))
    return judged(abs(most.skew_s) <= SKEW_S, finding)


def _library(up: list[_Server]) -> Finding:
    bad = [server.name for server in up if not server.has_library]
    said = f"missing or of another release: {listed(bad)}" if bad else f"version {admission.LIBRARY_VERSION}"
    remedy = "run `ias migrate up`; a worker loads it too, each second"
    finding = wrong(NAME, "function library", said, remedy, Figure("ias_redis_shards_without_library", len(bad)))
    return judged(not bad, finding)


async def _ask(edge: Edge, shard: Shard) -> _Server:
    try:
        async with asyncio.timeout(ANSWER_S):
            about = cast("Mapping[str, object]", await edge.at(shard, ("INFO",)))
            before = time.time()
            seconds, micros = cast("tuple[int, int]", await edge.at(shard, ("TIME",)))
            ours = (before + time.time()) / 2
    except TimeoutError:
        return _Server(shard.name, failure=f"Redis at {shard.name} does not answer within {ANSWER_S:g} s")
    except EdgeDown as error:
        return _Server(shard.name, failure=str(error))
    return _Server(
        name=shard.name,
        about=about,
        synced=await _synced(edge, shard),
        skew_s=seconds + micros / 1e6 - ours,
        has_library=await _has_library(edge, shard),
    )


async def _synced(edge: Edge, shard: Shard) -> str:
    """How the append-only file is synced; Redis's default where we may not ask."""
    try:
        answer = await edge.at(shard, ("CONFIG", "GET", "appendfsync"))
    except EdgeDown:
        return "everysec"
    parts = [*answer.values()] if isinstance(answer, dict) else cast("list[bytes]", answer)
    return text(parts[-1]) if parts else ""


async def _has_library(edge: Edge, shard: Shard) -> bool:
    try:
        return await edge.at(shard, admission.LIBRARY_VERSION_CALL) == admission.LIBRARY_VERSION.encode()
    except EdgeDown:
        return False


def _version(about: Mapping[str, object]) -> str:
    name = str(about.get("server_name", "redis"))
    return f"{name} {about.get(f'{name}_version', about.get('redis_version', '?'))}"

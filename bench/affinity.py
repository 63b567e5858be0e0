"""`python -m bench.affinity`: how much of the prompts four engines find in their prefix caches, by choice of replica.

The engines are mock engines whose caches hold a part of all conversations under way.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from random import Random
from statistics import fmean
from zlib import crc32

import click
import httpx
import msgspec
import uvloop

from bench.conversations import TOKENS, TURNS, Seen, measure
from bench.report import ROOT, Machine, changed, commit, machine, write
from bench.rig import Rig, open_rig
from ias_gateway.routing import Policy, Replica, affine

OUT = ROOT / "bench/results/affinity.json"
ENGINES = 4
CACHES = 1024, 2048
"""Blocks of 16 tokens in an engine's cache: a third, and two thirds, of what the conversations under way need."""
ALL = 65_536
DELAY_MS = 8


class Row(msgspec.Struct):
    """What was seen of one way to choose.

    Attributes:
        cache_tokens: tokens that an engine's cache holds.
        cached_share: prompt tokens that engines found in their caches, of all.
        imbalance: requests under way on the busiest replica over the mean of all, at each dispatch, on average.
        imbalance_p99: the same, exceeded at one dispatch in a hundred.
        replicas_per_conversation: on how many replicas a conversation was computed, on average.
    """

    name: str
    cache_tokens: int
    cached_share: float
    imbalance: float
    imbalance_p99: float
    replicas_per_conversation: float


class Report(msgspec.Struct):
    """The whole of `affinity.json`. `at_once` conversations run together."""

    commit: str
    changed: bool
    measured_at: str
    machine: Machine
    engines: int
    conversations: int
    turns: int
    at_once: int
    rows: list[Row]


def round_robin() -> Policy:
    """Each replica in turn."""
    turn = count()
    return lambda replicas, _: replicas[next(turn) % len(replicas)]


def least_outstanding() -> Policy:
    """The replica with the least under way; of several one at random."""
    chance = Random(1)
    return lambda replicas, _: min(replicas, key=lambda replica: (replica.load, chance.random()))


def unbounded(replicas: Sequence[Replica], beginning: bytes) -> Replica:
    """Affinity alone, however busy the replica is: what the bound costs in hits, and gains in balance."""
    key = crc32(beginning)
    return max(replicas, key=lambda replica: replica.liking(key))


POLICIES: dict[str, Callable[[], Policy]] = {
    "ours: affinity, bounded": lambda: affine,
    "affinity, unbounded": lambda: unbounded,
    "least outstanding": least_outstanding,
    "round robin": round_robin,
}


async def _listening(urls: Sequence[str]) -> None:
    async with httpx.AsyncClient() as client, asyncio.timeout(30):
        for url in urls:
            while not await _healthy(client, url):  # noqa: ASYNC110 - another process tells nobody
                await asyncio.sleep(0.05)


async def _healthy(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(f"{url}/health")).is_success
    except httpx.TransportError:
        return False


class Case(msgspec.Struct):
    """One way to choose, and the engines for it."""

    name: str
    policy: Callable[[], Policy]
    engines: int
    blocks: int


CASES = (
    *(Case(name, policy, ENGINES, blocks) for blocks in CACHES for name, policy in POLICIES.items()),
    Case("one engine that forgets nothing", round_robin, 1, ALL),
)


async def _one(rig: Rig, case: Case, conversations: int, at_once: int) -> Row:
    """On engines of its own, whose caches are empty."""
    options = ("--cache-blocks", str(case.blocks), "--tokens", str(TOKENS), "--delay-ms", str(DELAY_MS))
    with ExitStack() as stack:
        ports = [stack.enter_context(rig.mock_engine(*options)) for _ in range(case.engines)]
        urls = tuple(f"http://127.0.0.1:{port}" for port in ports)
        await _listening(urls)
        seen = await measure(urls, case.policy(), conversations, at_once)
    return _row(case, seen)


def _row(case: Case, seen: Seen) -> Row:
    ratios = sorted(seen.ratios)
    return Row(
        name=case.name,
        cache_tokens=case.blocks * 16,
        cached_share=round(seen.cached / seen.prompt, 4),
        imbalance=round(fmean(ratios), 3),
        imbalance_p99=round(ratios[len(ratios) * 99 // 100], 3),
        replicas_per_conversation=round(fmean(seen.homes), 2),
    )


def table(rows: Sequence[Row]) -> str:
    """A line for each way to choose."""
    head = f"{'':32}{'cache':>8}{'cached':>8}{'max/mean':>10}{'p99':>7}{'replicas a conversation':>25}"
    lines = [
        f"{row.name:32}{row.cache_tokens:>8,}{row.cached_share:>8.1%}{row.imbalance:>10.2f}{row.imbalance_p99:>7.2f}"
        f"{row.replicas_per_conversation:>25.2f}"
        for row in rows
    ]
    return "\n".join((head, *lines))


@click.command()
@click.option("--conversations", type=click.IntRange(1), default=200, show_default=True)
@click.option("--at-once", type=click.IntRange(1), default=48, show_default=True, help="Conversations at one time.")
@click.option("--out", type=click.Path(path_type=Path), default=OUT, show_default=True)
def main(*, conversations: int, at_once: int, out: Path) -> None:
    """Compare ways to choose a replica."""
    rows: list[Row] = []
    place = machine()
    with open_rig() as rig, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for case in CASES:
            click.echo(f"bench: {case.name}, {case.blocks} blocks", err=True)
            rows.append(runner.run(_one(rig, case, conversations, at_once)))
    click.echo(table(rows))
    report = Report(
        commit=commit(),
        changed=changed(),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=place,
        engines=ENGINES,
        conversations=conversations,
        turns=TURNS,
        at_once=at_once,
        rows=rows,
    )
    write(report, out)
    click.echo(f"\nwritten: {out}", err=True)


if __name__ == "__main__":
    sys.exit(main())

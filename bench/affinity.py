"""`python -m bench.affinity`: how much of the prompts four engines find in their prefix caches, by choice of replica.

Conversations of several organisations grow turn by turn; each organisation has a long system prompt of its own. What is
sent is what the gateway would send, salts included, to mock engines whose caches hold a part of all conversations.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
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

from bench.report import ROOT, Machine, changed, commit, machine, write
from bench.rig import Rig, open_rig
from ias.contract.catalogue import ModelRoute
from ias_gateway.bodies.endpoints import BY_PATH
from ias_gateway.routing import Policy, Replica, Routing, affine

OUT = ROOT / "bench/results/affinity.json"
PATH = b"/v1/chat/completions"
MODEL = "mock-gpt"
ENGINES = 4
CACHES = 1024, 2048
"""Blocks of 16 tokens in an engine's cache: a third, and two thirds, of what the conversations under way need."""
ALL = 65_536
TOKENS, DELAY_MS = 32, 8
ORGANISATIONS = (12, 5, 3, 2, 1, 1)
"""How much each of them asks, beside the others."""
SYSTEM_BYTES, TURN_BYTES, TURNS = 8_000, 400, 8


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


@dataclass
class Seen:
    """What one run has seen so far."""

    prompt: int = 0
    cached: int = 0
    ratios: list[float] = field(default_factory=list)
    homes: list[int] = field(default_factory=list)

    def row(self, name: str, blocks: int) -> Row:
        """All of it."""
        ratios = sorted(self.ratios)
        return Row(
            name=name,
            cache_tokens=blocks * 16,
            cached_share=round(self.cached / self.prompt, 4),
            imbalance=round(fmean(ratios), 3),
            imbalance_p99=round(ratios[len(ratios) * 99 // 100], 3),
            replicas_per_conversation=round(fmean(self.homes), 2),
        )


class _Details(msgspec.Struct):
    cached_tokens: int = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int
    prompt_tokens_details: _Details | None = None


class _Message(msgspec.Struct):
    content: str


class _Choice(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage


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


class Site:
    """The engines under one way to choose."""

    def __init__(self, urls: tuple[str, ...], policy: Policy, client: httpx.AsyncClient) -> None:
        self.seen = Seen()
        self._route = ModelRoute(name=MODEL, model_id="", upstream_name=MODEL, replicas=urls)
        self._routing = Routing(policy)
        self._client = client
        self._all = [self._routing.choose(self._route, [one for one in urls if one != url], b"") for url in urls]

    async def ask(self, organisation: str, messages: list[dict[str, str]]) -> tuple[str, str]:
        """One turn, dispatched as `completions.py` does it: the answer, and the replica that gave it."""
        endpoint = BY_PATH[PATH]
        request = {"model": MODEL, "messages": messages, "max_tokens": TOKENS}
        body = endpoint.read(msgspec.json.encode(request))
        replica = self._routing.choose(self._route, (), organisation.encode() + body.beginning())
        if replica is None:
            raise click.ClickException("there is no replica")
        replica.outstanding += 1
        loads = [one.outstanding for one in self._all if one is not None]
        self.seen.ratios.append(max(loads) * len(loads) / sum(loads))
        try:
            payload = body.rebuild(MODEL, TOKENS, f"salt of {organisation}")
            told = await self._client.post(f"{replica.url}{PATH.decode()}", content=payload, headers=_JSON)
        finally:
            replica.outstanding -= 1
        answer = msgspec.json.decode(told.raise_for_status().content, type=_Answer)
        self.seen.prompt += answer.usage.prompt_tokens
        details = answer.usage.prompt_tokens_details
        self.seen.cached += details.cached_tokens if details else 0
        return answer.choices[0].message.content, replica.url


_JSON = {"content-type": "application/json"}


async def _converse(site: Site, number: int) -> None:
    """One conversation from its first turn to its last. The same number always says the same."""
    chance = Random(number)
    organisation = chance.choices(range(len(ORGANISATIONS)), ORGANISATIONS)[0]
    messages = [{"role": "system", "content": _text(Random(-1 - organisation), SYSTEM_BYTES)}]
    homes: set[str] = set()
    for _ in range(TURNS):
        await asyncio.sleep(chance.uniform(0, 0.1))
        messages.append({"role": "user", "content": _text(chance, chance.randrange(TURN_BYTES // 2, TURN_BYTES * 2))})
        said, url = await site.ask(f"organisation {organisation}", messages)
        messages.append({"role": "assistant", "content": said})
        homes.add(url)
    site.seen.homes.append(len(homes))


def _text(chance: Random, size: int) -> str:
    return chance.randbytes(size // 2).hex()


async def measure(urls: tuple[str, ...], policy: Policy, conversations: int, at_once: int) -> Seen:
    """All conversations, so many at once."""
    numbers = iter(range(conversations))
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as client:
        site = Site(urls, policy, client)

        async def one_after_another() -> None:
            for number in numbers:
                await _converse(site, number)

        await asyncio.gather(*(one_after_another() for _ in range(at_once)))
    return site.seen


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
    return seen.row(case.name, case.blocks)


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

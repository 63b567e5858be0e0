"""One soak: clients ask, harm is done, samples are taken; then the books are compared, and what is left is counted."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

import httpx
import psutil

from tests.faults.checker import Books, check
from tests.soak.client import Client
from tests.soak.harm import Deed, Harms
from tests.soak.judge import Window, judge
from tests.soak.mix import Plan, draw
from tests.soak.place import Place
from tests.soak.samples import Samples, metrics, sample
from tests.soak.seen import End, Seen

REST_S = 0.05
"""What a client that found nobody waits before it comes again."""
THINK_S = 0.1
QUIET_WITHIN_S = 120.0

Say = Callable[[str], None]


@dataclass
class Left:
    """What is still there when all requests have ended; nothing should be.

    Attributes:
        tasks: more tasks than before the first request, over all workers.
        connections: of clients, that the gateway still holds.
        running: requests that an engine still runs.
    """

    open: float = 0
    unsettled: float = 0
    tasks: float = 0
    connections: int = 0
    running: int = 0


@dataclass
class Soak:
    """All that was seen, in so many seconds."""

    seconds: float = 0
    answers: list[tuple[Plan, Seen]] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    harms: list[str] = field(default_factory=list)
    samples: Samples = field(default_factory=Samples)
    books: Books = field(default_factory=Books)
    left: Left = field(default_factory=Left)

    def verdicts(self) -> Counter[str | None]:
        """How many answers have which explanation."""
        return Counter(judge(plan, seen, self.windows) for plan, seen in self.answers)

    def unexplained(self) -> list[tuple[Plan, Seen]]:
        """Answers without one."""
        return [(plan, seen) for plan, seen in self.answers if judge(plan, seen, self.windows) is None]


@dataclass(frozen=True)
class Effort:
    """How long, how many requests at once, what is done meanwhile, and the seed of all that is drawn at random."""

    seconds: float
    clients: int
    deeds: tuple[Deed, ...] = tuple(Deed)
    seed: int = 1


async def soak(place: Place, effort: Effort, say: Say) -> Soak:
    """Soak for so many seconds, and until all is done."""
    whole = Soak()
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        idle = max([await _tasks(place, client) for _ in range(3)])
        began = monotonic()
        harms = Harms(place, began, say)
        whole.windows, whole.harms = harms.windows, harms.done
        sampling = asyncio.create_task(sample(place, whole.samples, began))
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for number in range(effort.clients):
                dice = random.Random(f"{effort.seed} {number}")
                group.create_task(
                    _one_client(Client(place.product.gateway_url, place.tokens, began), whole, dice, over)
                )
            await harms.run(effort.seconds, effort.deeds)
            await asyncio.sleep(began + effort.seconds - monotonic())
            over.set()
        whole.seconds = monotonic() - began
        sampling.cancel()
        with suppress(asyncio.CancelledError):
            await sampling
        say("all requests have ended; waiting for the books")
        whole.left = await _left(place, client, idle)
    whole.books = await _settled(place)
    return whole


async def _one_client(client: Client, whole: Soak, dice: random.Random, over: asyncio.Event) -> None:
    """A request after another."""
    while not over.is_set():
        plan = draw(dice)
        seen = await client.ask(plan)
        whole.answers.append((plan, seen))
        lost = seen.end in {End.UNREACHABLE, End.DROPPED}
        await asyncio.sleep(REST_S if lost else dice.random() * THINK_S)
    await client.close()


async def _tasks(place: Place, client: httpx.AsyncClient) -> float:
    await asyncio.sleep(0.3)
    return (await metrics(place, client)).get("ias_gateway_tasks", 0.0)


async def _left(place: Place, client: httpx.AsyncClient, idle: float) -> Left:
    """What is left, once it is nothing or too late."""
    until = monotonic() + QUIET_WITHIN_S
    while True:
        now = await metrics(place, client)
        left = Left(
            open=now.get("ias_gateway_open_requests", -1),
            unsettled=now.get("ias_gateway_unsettled", -1),
            tasks=max(0.0, now.get("ias_gateway_tasks", 1e9) - idle),
            connections=await asyncio.to_thread(_client_connections, place),
            running=await asyncio.to_thread(lambda: place.running(0) + place.running(1)),
        )
        if left == Left() or monotonic() > until:
            return left
        await asyncio.sleep(0.5)


def _client_connections(place: Place) -> int:
    port = int(place.product.env["IAS_GATEWAY_PORT"])
    pids = [pid for pid in place.workers().values() if pid is not None]
    connections = [each for pid in pids for each in psutil.Process(pid).net_connections("tcp")]
    return sum(each.status == psutil.CONN_ESTABLISHED and each.laddr.port == port for each in connections)


async def _settled(place: Place) -> Books:
    """The books once they are quiet and right, or as they are when it is too late for that."""
    until = monotonic() + QUIET_WITHIN_S
    while True:
        books = await check(place.urls.database, place.urls.redis, place.product.oracle)
        if books.right or monotonic() > until:
            return books
        await asyncio.sleep(1)

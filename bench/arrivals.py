"""`python -m bench.arrivals PLAN`: requests sent at moments fixed beforehand, whether or not others are answered yet.

An answer's time runs from the moment that its request was due, so that a slow answer delays no one's clock.
"""

import asyncio
import resource
import sys
from pathlib import Path
from time import perf_counter
from typing import cast

import httptools
import msgspec
import uvloop

CONNECTIONS = 128
"""As a balancer keeps them: opened beforehand, one request at a time on each; what is due waits for a free one."""
PATIENCE_S = 30.0
MOST_WAITING = 1500
"""More than this is no longer a queue: the rate is not held, and no more is sent."""


class Plan(msgspec.Struct):
    """Requests in their order, as bytes; `rate` of them are due a second. The first `warm` are not told of."""

    port: int
    rate: float
    warm: int
    requests: list[bytes]


class Told(msgspec.Struct):
    """Of each request that was sent, less the first `skipped`: milliseconds from when it was due to its whole answer.

    A status of 0 is no answer; `given_up`: too many waited to go on. `busy` is how many were under way at most,
    `late_ms` how late at most the generator itself was, `cpu_s` what it used.
    """

    took_ms: list[float]
    statuses: list[int]
    skipped: int
    given_up: bool
    seconds: float
    busy: int
    late_ms: float
    cpu_s: float


class Connection(asyncio.Protocol):
    """A connection that is kept; one request at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._answer: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(0)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(self._parser.get_status_code())
        self._parser = httptools.HttpResponseParser(self)

    @property
    def usable(self) -> bool:
        """Whether it can be asked again."""
        return not self._transport.is_closing()

    async def ask(self, request: bytes) -> int:
        """Send a request; the status of its answer, 0 where there is none."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._answer
        except TimeoutError:
            self._transport.abort()
            return 0


class Generator:
    """Sends what a plan says."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._free = asyncio.LifoQueue[Connection]()
        self._busy = 0
        self._took = [0.0] * len(plan.requests)
        self._statuses = [0] * len(plan.requests)
        self._late = 0.0

    async def send(self) -> Told:
        """Send all of it and wait for the answers."""
        for _ in range(CONNECTIONS):
            self._free.put_nowait(await self._connect())
        began, cpu, warm, asking = 0.0, 0.0, self._plan.warm, set[asyncio.Task[None]]()
        start = perf_counter()
        for number, request in enumerate(self._plan.requests):
            due = start + number / self._plan.rate
            await asyncio.sleep(max(due - perf_counter(), 0))
            if number == warm:
                began, cpu, self._late = perf_counter(), _cpu_s(), 0.0
            self._late = max(self._late, perf_counter() - due)
            task = asyncio.create_task(self._one(number, request, due))
            asking.add(task)
            task.add_done_callback(asking.discard)
            self._busy = max(self._busy, len(asking))
            if len(asking) > MOST_WAITING:
                break
        while asking:
            await asyncio.wait(asking)
        seconds, used, late = perf_counter() - began, _cpu_s() - cpu, round(self._late * 1000, 1)
        sent, given_up = number + 1, self._busy > MOST_WAITING
        first = min(warm, sent - 1)
        took = [round(each * 1000, 3) for each in self._took[first:sent]]
        return Told(took, self._statuses[first:sent], first, given_up, seconds, self._busy, late, used)

    async def _one(self, number: int, request: bytes, due: float) -> None:
        connection = await self._free.get()
        try:
            if not connection.usable:
                connection = await self._connect()
            self._statuses[number] = await connection.ask(request)
        except OSError:
            self._statuses[number] = 0
        self._free.put_nowait(connection)
        self._took[number] = perf_counter() - due

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(Connection, "127.0.0.1", self._plan.port))[1]


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Send the plan in the file that is named, and print what was told as JSON."""
    plan = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=Plan)

    async def sent() -> Told:
        return await Generator(plan).send()

    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(sent())))


if __name__ == "__main__":
    main()

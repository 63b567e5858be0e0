"""One pipelined connection to Redis, kept open again and again. Answers are matched in order."""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable
from typing import cast

import hiredis

from ias.contract.admission import PROJECTION_KEY
from ias.contract.redis_url import Address, RedisUrl
from ias_gateway.asked import Asked, Asking, Listener, RedisDown, RedisRefused, Reply, Then, resolve
from ias_gateway.clock import now
from ias_gateway.ending import end
from ias_gateway.fiber import Pause
from ias_gateway.greeting import INTRODUCTION, Greeting, Server, greetings, server_of
from ias_gateway.outlet import Outlet

Argument = str | bytes | int

pack: Callable[[tuple[Argument, ...]], bytes] = hiredis.pack_command  # type: ignore[assignment]
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 1.0
_WATCH_EVERY_S = 0.05
_NO_CONNECTION = "there is no connection to Redis"
_DEAD_S = 2.0
"""A connection on which nothing is answered for so long is given up, and all that waits on it."""


class Redis(asyncio.Protocol, Asking):
    """Keeps one connection open, again and again.

    What is asked for an organisation comes with its `tag`, which says where to ask where there are shards.

    Args:
        url: where Redis is; its first node.
        timeout_s: how long `ask` waits. The connection stays: another one to a server that is slow helps nobody.
        on_open: called when there is a new connection, with whether it leads to the server of the one before, which
            then has what it had.

    Attributes:
        mark: the key that says that all is projected.
    """

    def __init__(self, url: RedisUrl, timeout_s: float, on_open: Callable[[bool], None]) -> None:
        self.connected = False
        self.mark = PROJECTION_KEY
        self.address: Address = url.nodes[0]
        self._url = url
        self._timeout_s = timeout_s
        self._on_open = on_open
        self._loop = asyncio.get_running_loop()
        self._outlet = Outlet(self._loop)
        self._reader = hiredis.Reader()
        self._waiting: deque[Listener] = deque()
        self._spoke_at = 0.0
        self._server: Server | None = None
        self._asked: deque[Asked] = deque()
        self._keeper: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()

    @property
    def parts(self) -> dict[str, "Redis"]:
        """This connection, by the name of what it leads to."""
        return {"redis": self}

    def start(self) -> None:
        """Begin to connect, and keep connecting whenever the connection is lost."""
        self._keeper = self._loop.create_task(self._keep())

    async def close(self) -> None:
        """Close for good; what still waits fails."""
        await end(self._keeper)
        self._outlet.abort()

    def call(self, *command: Argument) -> asyncio.Future[Reply]:
        """The answer to a command; awaiting it raises RedisDown as `ask` does, but waits for as long as it takes."""
        future: asyncio.Future[Reply] = self._loop.create_future()
        Redis.write(self, "", Then(lambda reply: resolve(future, reply)), pack(command))
        return future

    async def whole(self, tag: str) -> bool:
        """Whether every organisation that would be where this one is has been projected. Raises as `ask`."""
        return self.vouches(await self.ask(tag, pack(("GET", self.mark))), tag)

    def vouches(self, told: Reply, tag: str = "") -> bool:  # noqa: ARG002 - one mark speaks for all
        """Whether the mark says so: of the place of one organisation, or of all."""
        return told == b"1"

    def ask(self, tag: str, packed: bytes, late: Listener | None = None) -> Asked:
        """The answer to a packed command, for a fiber; one that comes after it was given up goes to `late`.

        Raises:
            RedisDown: there is no connection; when awaited, no answer in time, or a refusal.
        """
        if not self.connected:
            raise RedisDown(_NO_CONNECTION)
        waiting = self._asked
        while waiting and waiting[0].done:
            _ = waiting.popleft()
        asked, alone = Asked(late), not waiting
        waiting.append(asked)
        # Where nobody else waits for an answer there is no write to share; a settlement under way is no reason to wait.
        self.write(tag, asked, packed, soon=alone)
        return asked

    def write(
        self,
        tag: str,  # noqa: ARG002 - there is one server
        listener: Listener,
        packed: bytes,
        *,
        last: bool = False,
        soon: bool = False,
    ) -> None:
        """Send a command that `pack` made; the listener is told the answer, or the exception in its place.

        One that is `last` may leave after what is written elsewhere in this turn of the loop; handed over it is before.
        One that is sent `soon` does not wait for others of this turn, as none does for which no answer is awaited.
        """
        if not self.connected:
            listener.answered(RedisDown(_NO_CONNECTION))
        else:
            self._write(listener, packed, last=last, soon=soon)

    def _write(self, listener: Listener, packed: bytes, *, last: bool = False, soon: bool = False) -> None:
        first = not self._waiting
        self._waiting.append(listener)
        if first:
            self._spoke_at = now()
        self._outlet.write(packed, soon=first or soon, last=last)

    def handed_over(self, tag: str) -> bool:  # noqa: ARG002 - there is one server
        """Whether the kernel has all that was written."""
        return self._outlet.handed_over

    def flushed(self, tag: str) -> Pause[None]:  # noqa: ARG002 - there is one server
        """Wait until what was written has been handed to the kernel."""
        return self._outlet.flushed()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._outlet.open(cast("asyncio.Transport", transport))

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        self._spoke_at = now()
        waiting = self._waiting
        while True:
            reply = self._reader.gets()
            if reply is False:
                return
            listener: Listener = waiting.popleft()
            listener.answered(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.connected = False
        self._outlet.shut()
        waiting, self._waiting = self._waiting, deque()
        self._lost.set()
        for listener in waiting:
            listener.answered(RedisDown(f"the connection to Redis was lost{f': {exc}' if exc else ''}"))

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            try:
                await self._connect()
            except (OSError, RedisDown, TimeoutError):
                self.drop()
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            pause = _FIRST_PAUSE_S
            while not self._lost.is_set():
                began = now()
                await asyncio.sleep(_WATCH_EVERY_S)
                # After a pause of this process, what has come is read before it is judged.
                await asyncio.sleep(0)
                self.give_up_when_late(now() - began - _WATCH_EVERY_S)

    async def _connect(self) -> None:
        self._lost.clear()
        self._reader = hiredis.Reader()
        self.address = await self._find()
        tls = ssl.create_default_context() if self._url.tls else None
        opening = self._loop.create_connection(lambda: self, *self.address, ssl=tls)
        await asyncio.wait_for(opening, 1.0)
        for greeting in greetings(self._url):
            await self._greet(greeting)
        before, self._server = self._server, await self._meet()
        if not self._outlet.there or self._lost.is_set():
            raise RedisDown(_NO_CONNECTION)
        self.connected = True
        self._on_open(self._server is not None and self._server == before)

    async def _find(self) -> Address:
        """Where to connect to."""
        return self.address

    async def _meet(self) -> Server | None:
        """Which server this is, None where it does not tell."""
        try:
            return server_of(await self._greet(INTRODUCTION))
        except RedisRefused:
            return None

    async def _greet(self, greeting: Greeting) -> Reply:
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._write(Then(lambda reply: resolve(future, reply)), pack(greeting))
        return await asyncio.wait_for(future, 1.0)

    def give_up_when_late(self, pause_s: float = 0.0) -> None:
        """Fail what was asked too long ago, and the connection where nothing at all comes.

        A pause of this process, or of its machine, is not laid to Redis: what waits has as long left as before.
        """
        moment, asked = now(), self._asked
        if pause_s > _WATCH_EVERY_S:
            self._spoke_at += pause_s
            for each in asked:
                each.since += pause_s
        while asked and (asked[0].done or moment - asked[0].since > self._timeout_s):
            asked.popleft().fail(RedisDown("Redis did not answer in time"))
        if self._waiting and moment - self._spoke_at > max(_DEAD_S, self._timeout_s):
            self.drop()

    def drop(self) -> None:
        """Give the connection up; what waits on it fails, and another one is made."""
        self.connected = False
        self._outlet.abort()

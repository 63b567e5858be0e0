"""A TCP proxy that does harm: it delays, swallows, refuses, resets, half-closes, truncates, slices and cuts."""

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import uvloop

from tests.services import free_port

READ = 65_536
_RESET = struct.pack("ii", 1, 0)
LOST_AFTER_S = 0.1
"""How long a server gets to do what the answer of which is lost."""


class Way(Enum):
    """Which way bytes go."""

    UP = "from the client to the server"
    DOWN = "from the server to the client"


@dataclass
class Cut:
    """Breaks a connection where these bytes pass, so many times.

    Attributes:
        way: on which way they are looked for.
        answer_lost: they still arrive, and only what comes back does not; else they never do.
    """

    pattern: bytes
    way: Way = Way.UP
    answer_lost: bool = False
    times: int = 1
    done: int = 0


@dataclass
class Harm:
    """What is done to connections now.

    Attributes:
        latency_s: added on each way.
        blackhole: nothing passes, no connection breaks; what was sent meanwhile arrives afterwards.
        refuse: new connections are reset at once.
        slices: every byte is a segment of its own.
        truncate: so many bytes of a connection's answers pass, then it ends as if that were all.
        reset_after: so many bytes of a connection's answers pass, then it is reset.
    """

    latency_s: float = 0.0
    blackhole: bool = False
    refuse: bool = False
    slices: bool = False
    truncate: int | None = None
    reset_after: int | None = None
    cut: Cut | None = None


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Link:
    """One connection through the proxy."""

    def __init__(self, proxy: "Proxy", client: Ends, server: Ends) -> None:
        self._proxy = proxy
        self._ends = client, server
        self._answered = 0
        self._deaf = False
        self._tails = {Way.UP: b"", Way.DOWN: b""}

    async def run(self) -> None:
        """Pass bytes on, both ways, until both have ended or the link is broken."""
        (client_reader, client_writer), (server_reader, server_writer) = self._ends
        up = self._one_way(Way.UP, client_reader, server_writer)
        down = self._one_way(Way.DOWN, server_reader, client_writer)
        with suppress(OSError, asyncio.IncompleteReadError):
            async with asyncio.TaskGroup() as group:
                group.create_task(_quietly(up))
                group.create_task(_quietly(down))
        for _, writer in self._ends:
            writer.close()

    def reset(self) -> None:
        """Break both sides."""
        for _, writer in self._ends:
            _reset(writer)

    def half_close(self) -> None:
        """Tell the client that the server says no more; what the client says still arrives."""
        (_, client), _ = self._ends
        self._deaf = True
        with suppress(OSError, RuntimeError):
            client.write_eof()

    async def _one_way(self, way: Way, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        writing = loop.create_task(_quietly(self._write(way, queue, writer)))
        try:
            while data := await reader.read(READ):
                if not self._cut_at(way, data):
                    queue.put_nowait((loop.time() + self._proxy.harm.latency_s, data))
            queue.put_nowait((loop.time() + self._proxy.harm.latency_s, b""))
        except OSError:
            self.reset()
            writing.cancel()
        await asyncio.wait((writing,))

    async def _write(self, way: Way, queue: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, data = await queue.get()
            if due > loop.time():
                await asyncio.sleep(due - loop.time())
            await self._proxy.open.wait()
            if self._deaf and way is Way.DOWN:
                continue
            if not data:
                writer.write_eof()
                return
            await self._deliver(way, data, writer)

    async def _deliver(self, way: Way, data: bytes, writer: asyncio.StreamWriter) -> None:
        harm = self._proxy.harm
        ends = [most for most in (harm.truncate, harm.reset_after) if most is not None]
        if way is Way.DOWN and ends and self._answered + len(data) >= min(ends):
            writer.write(data[: max(0, min(ends) - self._answered)])
            await writer.drain()
            self._deaf = True
            if harm.truncate is None:
                self.reset()
            else:
                self.half_close()
            return
        self._answered += len(data) if way is Way.DOWN else 0
        for at in range(len(data)) if harm.slices else ():
            writer.write(data[at : at + 1])
            await asyncio.sleep(0)
        if not harm.slices:
            writer.write(data)
        await writer.drain()

    def _cut_at(self, way: Way, data: bytes) -> bool:
        """Whether the connection breaks here, so that these bytes go no further."""
        cut = self._proxy.harm.cut
        if cut is None or cut.way is not way or cut.done >= cut.times:
            return False
        seen = self._tails[way] + data
        self._tails[way] = seen[-len(cut.pattern) :]
        if cut.pattern not in seen:
            return False
        cut.done += 1
        if cut.answer_lost:
            self._deaf = True
            asyncio.get_running_loop().call_later(LOST_AFTER_S, self._lose)
            return False
        self.reset()
        return True

    def _lose(self) -> None:
        (_, client), (_, server) = self._ends
        _reset(client)
        server.close()


class Proxy:
    """Stands before one server. Change `harm` through `do`; `url` is where clients go instead."""

    def __init__(self, server_url: str, loop: asyncio.AbstractEventLoop) -> None:
        parts = urlsplit(server_url)
        self.port = free_port()
        self.url = parts._replace(netloc=parts.netloc.rpartition(":")[0] + f":{self.port}").geturl()
        self.harm = Harm()
        self.open = asyncio.Event()
        self.open.set()
        self.accepted = 0
        self._server = parts.hostname, parts.port
        self._loop = loop
        self._links: set[Link] = set()
        self._tasks: set[asyncio.Task[Any] | None] = set()

    def do(self, **harm: Any) -> None:
        """From now on this harm, and no other; with none, all is well."""
        self._call(lambda: self._change(Harm(**harm)))

    def reset(self) -> None:
        """Reset every connection, once."""
        self._call(lambda: [link.reset() for link in tuple(self._links)])

    def half_close(self) -> None:
        """Close every connection towards its client, once."""
        self._call(lambda: [link.half_close() for link in tuple(self._links)])

    @contextmanager
    def doing(self, **harm: Any) -> Iterator["Proxy"]:
        """This harm while the block runs."""
        self.do(**harm)
        try:
            yield self
        finally:
            self.do()

    @property
    def connections(self) -> int:
        return len(self._links)

    def _change(self, harm: Harm) -> None:
        self.harm = harm
        if harm.blackhole:
            self.open.clear()
        else:
            self.open.set()

    async def listen(self) -> None:
        await asyncio.start_server(self._accept, "127.0.0.1", self.port, backlog=4096)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        if self.harm.refuse:
            _reset(writer)
            return
        try:
            server = await asyncio.open_connection(*self._server)
        except OSError:
            _reset(writer)
            return
        _at_once(writer)
        _at_once(server[1])
        link = Link(self, (reader, writer), server)
        self._links.add(link)
        task = asyncio.current_task()
        self._tasks.add(task)  # the loop itself would let go of it
        # Cancelled when the proxy ends: asyncio would report that.
        with suppress(asyncio.CancelledError):
            await link.run()
        self._links.discard(link)
        self._tasks.discard(task)

    def _call(self, verb: Callable[[], object]) -> None:
        done = threading.Event()

        def call() -> None:
            verb()
            done.set()

        self._loop.call_soon_threadsafe(call)
        assert done.wait(10), "the proxy's loop does not answer"


class Proxies:
    """A thread that runs any number of proxies."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy", daemon=True)
        self._thread.start()

    def before(self, server_url: str) -> Proxy:
        """A proxy before this server."""
        return self._run(self._proxy(server_url))

    def close(self) -> None:
        """End all of them."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _proxy(self, server_url: str) -> Proxy:
        proxy = Proxy(server_url, asyncio.get_running_loop())
        await proxy.listen()
        return proxy

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)


@contextmanager
def proxies() -> Iterator[Proxies]:
    """Proxies, ended afterwards."""
    some = Proxies()
    try:
        yield some
    finally:
        some.close()


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    """A broken connection ends a direction, and is no error of the proxy's."""
    with suppress(OSError, RuntimeError):
        await work


def _at_once(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, ValueError):  # it may be closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()

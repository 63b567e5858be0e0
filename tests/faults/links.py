"""One connection through a fault proxy: bytes pass both ways, or come to harm."""

import asyncio
import socket
import struct
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, Protocol

from tests.faults.harms import Harm, Way

READ = 65_536
_RESET = struct.pack("ii", 1, 0)
LOST_AFTER_S = 0.1
"""How long a server gets to do what the answer of which is lost."""

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Gate(Protocol):
    """What is done now to all connections of a proxy; `open` is clear while nothing passes."""

    harm: Harm
    open: asyncio.Event


class Link:
    """One connection through the proxy."""

    def __init__(self, gate: Gate, client: Ends, server: Ends) -> None:
        self._gate = gate
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
            reset(writer)

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
                    queue.put_nowait((loop.time() + self._gate.harm.latency_s, data))
            queue.put_nowait((loop.time() + self._gate.harm.latency_s, b""))
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
            await self._gate.open.wait()
            if self._deaf and way is Way.DOWN:
                continue
            if not data:
                writer.write_eof()
                return
            await self._deliver(way, data, writer)

    async def _deliver(self, way: Way, data: bytes, writer: asyncio.StreamWriter) -> None:
        harm = self._gate.harm
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
        cut = self._gate.harm.cut
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
        reset(client)
        server.close()


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    """A broken connection ends a direction, and is no error of the proxy's."""
    with suppress(OSError, RuntimeError):
        await work


def at_once(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, ValueError):  # it may be closed already
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()

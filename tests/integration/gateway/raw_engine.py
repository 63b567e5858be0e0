"""An engine that sends the bytes that a test gives it, slice by slice, and notes when it is left."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

STREAM = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
CHUNKED = STREAM + b"transfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)

Behave = Callable[["Call"], Awaitable[None]]


class Call:
    """One request, as the engine has it; `left_at` is when its connection was closed, on the monotonic clock."""

    def __init__(self, connection: "Connection", number: int, head: bytes, body: bytes) -> None:
        self.number = number
        self.path = head.split(b" ", 2)[1].decode()
        self.head = head
        self.raw = body
        self.left = asyncio.Event()
        self.left_at = 0.0
        self._connection = connection

    @property
    def body(self) -> Any:
        return msgspec.json.decode(self.raw)

    async def send(self, *slices: bytes, pause: float = 0.0) -> None:
        """Each slice in a write of its own; `pause` seconds between them, so that it is likely a read of its own."""
        for piece in slices:
            await self._connection.write(piece)
            await asyncio.sleep(pause)

    async def until_left(self) -> None:
        """Say nothing more."""
        await self.left.wait()

    def reset(self) -> None:
        """Close the connection without a farewell."""
        self._connection.transport.abort()

    def close(self) -> None:
        """Close the connection once all is sent."""
        self._connection.transport.close()


class Connection(asyncio.Protocol):
    """One connection of a gateway."""

    transport: asyncio.Transport

    def __init__(self, engine: "RawEngine") -> None:
        self._engine = engine
        self._seen = b""
        self._call: Call | None = None
        self._writable = asyncio.Event()
        self._writable.set()

    async def write(self, data: bytes) -> None:
        await self._writable.wait()
        if not self.transport.is_closing():
            self.transport.write(data)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._engine.connections += 1
        self._engine.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._engine.open.discard(self)
        self._writable.set()
        if self._call is not None:
            self._call.left_at = time.monotonic()
            self._call.left.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, mark, rest = self._seen.partition(b"\r\n\r\n")
        if not mark:
            return
        found = _LENGTH.search(head + b"\r\n")
        length = int(found[1]) if found else 0
        if len(rest) >= length:
            self._seen = rest[length:]
            self._call = self._engine.take(self, head, rest[:length])


class RawEngine:
    """Answers each request as `behave` does it. `/health` and `/metrics` are answered as by an idle engine."""

    def __init__(self, behave: Behave) -> None:
        self.url = ""
        self.behave = behave
        self.calls: list[Call] = []
        self.open: set[Connection] = set()
        self.connections = 0
        self.looks = 0
        self.healthy = True
        self.waiting = 0
        self._came = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, connection: Connection, head: bytes, body: bytes) -> Call:
        call = Call(connection, len(self.calls) + 1, head, body)
        if call.path in {"/health", "/metrics"}:
            behave: Behave = self._of_itself
        else:
            self.calls.append(call)
            self._came.set()
            behave = self.behave
        task = asyncio.ensure_future(behave(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return call

    async def called(self, number: int = 1) -> Call:
        """The call of this number, once it has come."""
        async with asyncio.timeout(20):
            while len(self.calls) < number:
                self._came.clear()
                await self._came.wait()
        return self.calls[number - 1]

    async def end(self) -> None:
        for connection in tuple(self.open):
            connection.transport.abort()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _of_itself(self, call: Call) -> None:
        if call.path == "/health":
            await call.send(whole(b"", b"200 OK" if self.healthy else b"503 Service Unavailable"))
        else:
            await call.send(whole(b'vllm:num_requests_waiting{engine="0",model_name="m"} %d.0\n' % self.waiting))
            self.looks += 1


@asynccontextmanager
async def raw_engine(behave: Behave, port: int = 0) -> AsyncIterator[RawEngine]:
    """A listening engine."""
    engine = RawEngine(behave)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(engine), "127.0.0.1", port, backlog=4096)
    engine.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield engine
    finally:
        server.close()
        await engine.end()


def chunked(pieces: Iterable[bytes]) -> bytes:
    """Pieces as HTTP chunks, without the last one."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)


def whole(body: bytes, status: bytes = b"200 OK") -> bytes:
    """A whole answer."""
    return b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


def saying(*pieces: bytes) -> Behave:
    """An engine that says so much and then nothing more."""

    async def behave(call: Call) -> None:
        await call.send(*pieces)
        await call.until_left()

    return behave

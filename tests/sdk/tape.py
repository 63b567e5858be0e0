"""A TCP pass-through in front of a gateway that takes down what went through: requests, answers, and when."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httptools

_READ = 65_536


@dataclass
class Request:
    """One request as it was sent, and what came back. Times are the loop's; 0 is never."""

    method: str = ""
    path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    sent_at: float = 0
    status: int = 0
    answer_headers: dict[str, str] = field(default_factory=dict)
    answer: bytes = b""
    answered_at: float = 0

    @property
    def whole(self) -> bool:
        """Whether the answer came to its end."""
        return self.answered_at > 0


@dataclass
class Tape:
    """Where to connect to, and what went through so far."""

    url: str
    requests: list[Request] = field(default_factory=list)

    def sent(self, case: str) -> list[Request]:
        """The requests whose header `x-case` says so, in order."""
        return [request for request in self.requests if request.headers.get("x-case") == case]


class _Asked:
    """httptools' callbacks for what a client sends on one connection."""

    def __init__(self, tape: Tape, open_: deque[Request]) -> None:
        self._tape, self._open = tape, open_
        self._request = Request()
        self.parser = httptools.HttpRequestParser(self)

    def on_message_begin(self) -> None:
        self._request = Request()

    def on_url(self, url: bytes) -> None:
        self._request.path += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._request.headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self._request.method = self.parser.get_method().decode()
        self._request.sent_at = asyncio.get_running_loop().time()
        self._tape.requests.append(self._request)
        self._open.append(self._request)

    def on_body(self, body: bytes) -> None:
        self._request.body += body


class _Answered:
    """httptools' callbacks for what the gateway sends on one connection."""

    def __init__(self, open_: deque[Request]) -> None:
        self._open = open_
        self.parser = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._open[0].answer_headers[name.decode().lower()] = value.decode()

    def on_headers_complete(self) -> None:
        self._open[0].status = self.parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        self._open[0].answer += body

    def on_message_complete(self) -> None:
        self._open.popleft().answered_at = asyncio.get_running_loop().time()


async def _pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    parser: httptools.HttpRequestParser | httptools.HttpResponseParser,
) -> None:
    while data := await reader.read(_READ):
        parser.feed_data(data)
        writer.write(data)
        await writer.drain()


async def _pass(tape: Tape, gateway: str, client: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
    """One connection, both ways; where one side ends, the other is ended too."""
    where = urlsplit(gateway)
    server = await asyncio.open_connection(where.hostname, where.port)
    open_: deque[Request] = deque()
    ways = {
        asyncio.create_task(_pump(client[0], server[1], _Asked(tape, open_).parser)),
        asyncio.create_task(_pump(server[0], client[1], _Answered(open_).parser)),
    }
    try:
        done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in done:
            way.exception()  # a reset ends the connection as a close does
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for writer in (client[1], server[1]):
            writer.close()


@asynccontextmanager
async def tape_of(gateway: str) -> AsyncIterator[Tape]:
    """A tape before the gateway with this address; on leaving, all its connections are closed."""
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        # A task of asyncio's streams that ends as cancelled is reported as an error.
        with suppress(asyncio.CancelledError):
            await _pass(tape, gateway, (reader, writer))
        connections.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    tape = Tape(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    try:
        yield tape
    finally:
        server.close()
        for task in tuple(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

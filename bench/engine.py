"""`python -m bench.engine PORT`: an engine that costs less than any proxy.

It speaks the mock engine's shapes from bytes made beforehand. As with vLLM, each event is an HTTP chunk of its own; the
events of a burst leave in one write, those of all paced streams by one clock.
"""

import asyncio
import gc
import sys
from typing import cast

import uvloop

from bench import exchange

_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
_END = b"0\r\n\r\n"
_KEPT = 4096
_UNKNOWN = -1


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class _Script:
    """All that is ever said, with or without running usage."""

    def __init__(self, *, usage: bool) -> None:
        self.opening = _STREAM_HEAD + _chunk(exchange.opening(usage=usage))
        self.burst = _STREAM_HEAD + b"".join(map(_chunk, exchange.burst(usage=usage))) + _END
        self.paced = [_chunk(event) for event in exchange.paced(usage=usage)]
        self.brief_end = _chunk(exchange.brief_end(usage=usage)) + _END


_UNARY = _answer(exchange.unary_body())
_MODELS = _answer(b'{"object":"list","data":[{"id":"bench","object":"model","created":0,"owned_by":"vllm"}]}')
_SMALL = _answer(b'{"status":"ok","model_path":"bench","tp_size":1,"dp_size":1}')
_SCRIPTS = (_Script(usage=False), _Script(usage=True))


class Clock:
    """Writes the next token of every paced stream, every 20 ms."""

    def __init__(self) -> None:
        self.streams: set[Connection] = set()
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time()
        self._place = 0
        self._tick()

    def hush(self) -> None:
        """End every stream."""
        for stream in tuple(self.streams):
            stream.end()

    def _tick(self) -> None:
        self._place = (self._place + 1) % len(_SCRIPTS[0].paced)
        chunks = [script.paced[self._place] for script in _SCRIPTS]
        for stream in tuple(self.streams):
            stream.token(chunks[stream.usage])
        self._due += exchange.PACE_S
        self._loop.call_at(self._due, self._tick)


class Connection(asyncio.Protocol):
    """One connection of a proxy: a request at a time, recognised by its mark."""

    __slots__ = ("_brief", "_clock", "_missing", "_seen", "_transport", "usage")

    def __init__(self, clock: Clock) -> None:
        self.usage = False
        self._clock = clock
        self._brief = False
        self._seen = b""
        self._missing = _UNKNOWN
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._clock.streams.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._missing == _UNKNOWN:
            data = self._seen = self._seen + data if self._seen else data
            end = data.find(b"\r\n\r\n")
            if end < 0:
                return
            self._missing = end + 4 + _length(data[:end]) - len(data)
        else:
            self._missing -= len(data)
            if len(self._seen) < _KEPT:
                self._seen += data
        if self._missing <= 0:
            request, self._seen, self._missing = self._seen, b"", _UNKNOWN
            self._serve(request)

    def token(self, chunk: bytes) -> None:
        """The next token of this stream."""
        if self._brief:
            self._clock.streams.discard(self)
            chunk += _SCRIPTS[self.usage].brief_end
        self._transport.write(chunk)

    def end(self) -> None:
        """End this stream before its time."""
        self._clock.streams.discard(self)
        self._transport.write(_SCRIPTS[self.usage].brief_end)

    def _serve(self, request: bytes) -> None:
        mark = request.find(b"[[", 0, _KEPT)
        kind = request[mark : mark + 9].decode() if mark >= 0 else ""
        if kind == exchange.UNARY:
            self._transport.write(_UNARY)
        elif kind == exchange.HUSH:
            self._clock.hush()
            self._transport.write(_SMALL)
        elif kind:
            self._stream(kind, exchange.WITH_USAGE in request)
        else:
            self._transport.write(_MODELS if b"/v1/models" in request else _SMALL)

    def _stream(self, kind: str, usage: bool) -> None:  # noqa: FBT001 - how the request reads
        script = _SCRIPTS[usage]
        if kind == exchange.BURST:
            self._transport.write(script.burst)
            return
        self._transport.write(script.opening)
        self.usage, self._brief = usage, kind == exchange.BRIEF
        self._clock.streams.add(self)


def _length(head: bytes) -> int:
    start = head.find(b"ontent-")
    while start >= 0:
        name, _, rest = head[start + 7 :].partition(b":")
        if name.lower() == b"length":
            return int(rest.partition(b"\r")[0])
        start = head.find(b"ontent-", start + 7)
    return 0


async def serve(port: int) -> None:
    """Run until killed."""
    clock = Clock()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(clock), "127.0.0.1", port, backlog=4096)
    gc.freeze()
    gc.disable()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))

"""What a worker tells its supervisor, and the line over which it does: a number comes, a report goes, a JSON line each.

The line is one end of a socket pair. It ends with the supervisor, and a worker without one drains and ends too.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import msgspec

from ias_gateway.health import Probes

MAX_REPORT_BYTES = 64 * 1024 * 1024


class Report(msgspec.Struct):
    """A worker as it is. `number` is the one that it was asked with."""

    number: int
    states: dict[str, str]
    metrics: str


encode_report = msgspec.json.Encoder().encode
decode_report = msgspec.json.Decoder(Report).decode


@contextlib.asynccontextmanager
async def line_to(supervisor: socket.socket, probes: Probes, stop: asyncio.Event) -> AsyncIterator[None]:
    """Answer the supervisor inside the block, and once more, unasked, after it: what was counted last is not lost."""
    line = _Line(await asyncio.open_unix_connection(sock=supervisor), probes)
    answering = asyncio.create_task(line.answer(stop))
    try:
        yield
    finally:
        answering.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await answering
        await line.close()


class _Line:
    """The worker's end."""

    def __init__(self, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], probes: Probes) -> None:
        self._reader, self._writer = streams
        self._probes = probes
        self._number = 0

    async def answer(self, stop: asyncio.Event) -> None:
        """Report whenever that is asked for; `stop` is set when nobody is left to ask."""
        with contextlib.suppress(ConnectionError):
            while asked := await self._reader.readline():
                self._number = int(asked)
                self._report(await self._probes.states())
                await self._writer.drain()
        stop.set()

    async def close(self) -> None:
        """Say the last words."""
        with contextlib.suppress(ConnectionError):
            self._report({})
            self._writer.close()
            await self._writer.wait_closed()

    def _report(self, states: dict[str, str]) -> None:
        report = Report(self._number, states, self._probes.exposition().decode())
        self._writer.write(encode_report(report) + b"\n")

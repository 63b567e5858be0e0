"""A client that reads a stream event by event, and leaves when the test says so."""

import asyncio
import socket
import struct
import time
from typing import Any

import httpx
import msgspec

from tests.integration.gateway.place import CHAT, Tenant

_RESET = struct.pack("ii", 1, 0)


class RawClient:
    """One connection to the gateway. What has come is in `seen`, as it was sent: head, chunks and all."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.seen = b""

    @staticmethod
    async def ask(tenant: Tenant, path: str = CHAT, **body: Any) -> "RawClient":
        """Connect, and send a request."""
        url = httpx.URL(tenant.place.url)
        client = RawClient(*await asyncio.open_connection(url.host, url.port, limit=2**24))
        content = msgspec.json.encode(tenant.body(**body))
        head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {tenant.token}\r\n"
        client._writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(content) + content)
        await client._writer.drain()
        return client

    async def until(self, mark: bytes, times: int = 1) -> bytes:
        """Read until a mark has come so often; all that has come."""
        async with asyncio.timeout(30):
            while self.seen.count(mark) < times:
                data = await self._reader.read(2**20)
                assert data, f"the connection was closed before {mark!r}: {self.seen[-500:]!r}"
                self.seen += data
        return self.seen

    def leave(self, *, rudely: bool = False) -> float:
        """Close the connection, with a reset where it is done rudely. When that was, on the monotonic clock."""
        if rudely:
            sock = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        left_at = time.monotonic()
        self._writer.transport.abort() if rudely else self._writer.close()
        return left_at

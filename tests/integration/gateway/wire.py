"""A connection to the gateway, byte by byte, and requests to send on it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec

from tests.integration.gateway.place import CHAT, Place, Tenant

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\n"
HOST = b"host: localhost\r\n"
GET = b"GET /v1/models HTTP/1.1\r\n"
FORM = b"POST /v1/audio/transcriptions HTTP/1.1\r\n"


class Wire:
    """A connection to the gateway, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, within: float = 30) -> tuple[int, dict[str, str], bytes]:
        """One answer that tells its length."""
        async with asyncio.timeout(within):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status, *lines = head.strip().split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines)
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(status.split()[1]), headers, body

    async def rest(self) -> bytes:
        """All that comes until the connection is closed."""
        async with asyncio.timeout(30):
            return await self.reader.read()

    async def told(self) -> tuple[int, dict[str, Any]]:
        """The status and the JSON of one answer."""
        status, _, body = await self.answer()
        return status, msgspec.json.decode(body)


@asynccontextmanager
async def wired(place: Place, *, slow: bool = False) -> AsyncIterator[Wire]:
    """A connection; one whose client is slow has room for little that it has not read."""
    url = httpx.URL(place.url)
    sock = socket.socket()
    if slow:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, (url.host, url.port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=2**10 if slow else 2**22)
    try:
        yield Wire(reader, writer)
    finally:
        writer.transport.abort()


def request(tenant: Tenant, text: str = "hello", more: bytes = b"", **fields: object) -> bytes:
    """A whole chat request."""
    return post(tenant, msgspec.json.encode(tenant.body(text, **fields)), more)


def post(tenant: Tenant, body: bytes, more: bytes = b"", path: str = CHAT) -> bytes:
    """A whole request with these bytes for a body; `more` are further lines of its head."""
    line = f"POST {path} HTTP/1.1\r\nauthorization: Bearer {tenant.token}\r\n".encode()
    return line + HOST + more + b"content-length: %d\r\n\r\n" % len(body) + body

"""`python asgi_proxy.py PORT ENGINE_URL`: passes requests on, and nothing else. Runs in an environment of its own."""

import sys
from collections.abc import Awaitable, Callable
from typing import TypedDict

import aiohttp  # type: ignore[import-not-found,unused-ignore] # not in the project's environment
import uvicorn  # type: ignore[import-not-found,unused-ignore] # not in the project's environment


class Scope(TypedDict):
    """Of an ASGI scope, what is read here."""

    method: str
    path: str


class Message(TypedDict, total=False):
    """An ASGI event."""

    type: str
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    more_body: bool


Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
_PASSED = (b"content-type", b"content-length")
_HEADERS = {"content-type": "application/json", "accept-encoding": "identity"}
_sessions: list[aiohttp.ClientSession] = []


async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
    """One ASGI call."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if not _sessions:
        _sessions.append(aiohttp.ClientSession(sys.argv[2], connector=aiohttp.TCPConnector(limit=0)))
    async with _sessions[0].request(scope["method"], scope["path"], data=body or None, headers=_HEADERS) as answer:
        headers = [(name, value) for name, value in answer.raw_headers if name.lower() in _PASSED]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        async for data in answer.content.iter_any():
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    uvicorn.run(
        proxy,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        interface="asgi3",
        backlog=4096,
        access_log=False,
        log_level="warning",
    )

"""`python asgi_proxy.py PORT ENGINE_URL`: passes requests on, and nothing else. Runs in an environment of its own."""

import sys
from collections.abc import Awaitable, Callable

import aiohttp
import uvicorn

Event = dict[str, object]
_STATE: dict[str, aiohttp.ClientSession] = {}
_HEADERS = {"content-type": "application/json", "accept-encoding": "identity"}


async def proxy(
    scope: Event, receive: Callable[[], Awaitable[Event]], send: Callable[[Event], Awaitable[None]]
) -> None:
    """One ASGI call."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    if "session" not in _STATE:
        connector = aiohttp.TCPConnector(limit=0, force_close=False)
        _STATE["session"] = aiohttp.ClientSession(sys.argv[2], connector=connector, auto_decompress=False)
    path = str(scope["path"])
    async with _STATE["session"].request(str(scope["method"]), path, data=body or None, headers=_HEADERS) as answer:
        passed = (b"content-type", b"content-length")
        headers = [(name, value) for name, value in answer.raw_headers if name.lower() in passed]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        async for data in answer.content.iter_any():
            await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


if __name__ == "__main__":
    options = {"loop": "uvloop", "http": "httptools", "lifespan": "off", "interface": "asgi3", "backlog": 4096}
    uvicorn.run(proxy, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning", **options)

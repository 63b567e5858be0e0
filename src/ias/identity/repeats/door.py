"""The gate that a repeated POST does not pass: it is answered as the first one was."""

from http import HTTPMethod, HTTPStatus
from typing import cast

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPRequestEvent, HTTPScope, Message, Receive, Scope, Send
from loguru import logger

from ias.db import DatabaseDown
from ias.identity.access.domain import Principal
from ias.identity.access.guards import PUBLIC
from ias.identity.repeats import actions
from ias.identity.repeats.domain import MOST_BYTES, Kept, Sent, checked, digest

HEADER = b"idempotency-key"
_KEPT_HEADERS = (b"content-type", b"location", b"etag", b"cache-control")
_REPLAYED = (b"idempotency-replayed", b"true")
_MULTIPLE_CHOICES = HTTPStatus.MULTIPLE_CHOICES


class Repeats(ASGIMiddleware):
    """Answers a POST with an `Idempotency-Key` that was sent before; it comes after authentication."""

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = PUBLIC

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        key = _key(scope)
        body = None if key is None else await _body(receive)
        if key is None or body is None:
            await next_app(scope, receive, send)
            return
        http = cast("HTTPScope", scope)
        asked = digest(http["method"], http["path"], http["query_string"], body)
        sent = Sent(cast("Principal", scope["user"]).user_id, checked(key), asked)
        before = await actions.begin(sent)
        if before is not None:
            await _give(before, send)
            return
        recorder = Recorder(send)
        try:
            await next_app(scope, _again(body, receive), recorder.send)
        finally:
            await _finish(sent, recorder.answer())


class Recorder:
    """Passes an answer on and keeps a copy of it."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status = 0
        self._headers: tuple[tuple[bytes, bytes], ...] = ()
        self._body = bytearray()
        self._whole = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = tuple((name, value) for name, value in message["headers"] if name.lower() in _KEPT_HEADERS)
        elif message["type"] == "http.response.body":
            self._body += message["body"]
            self._whole = not message["more_body"]
        await self._send(message)

    def answer(self) -> Kept | None:
        """The answer, None where nothing was changed or it is too long to be kept."""
        good = self._whole and self._status < _MULTIPLE_CHOICES and len(self._body) <= MOST_BYTES
        return Kept(self._status, self._headers, bytes(self._body)) if good else None


def _key(scope: Scope) -> str | None:
    if cast("HTTPScope", scope)["method"] != HTTPMethod.POST:
        return None
    found = [value for name, value in scope["headers"] if name == HEADER]
    return found[0].decode("latin-1") if found else None


async def _body(receive: Receive) -> bytes | None:
    """The request's body; what is too long goes on unread, to be refused for its length."""
    body = bytearray()
    while True:
        message = cast("HTTPRequestEvent", await receive())
        body += message.get("body", b"")
        if not message.get("more_body") or len(body) > MOST_BYTES:
            return bytes(body)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body as it came, then what comes after it."""
    told = False

    async def repeat() -> HTTPRequestEvent:
        nonlocal told
        if told:
            return cast("HTTPRequestEvent", await receive())
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return cast("Receive", repeat)


async def _give(answer: Kept, send: Send) -> None:
    headers = [*answer.headers, _REPLAYED, (b"content-length", b"%d" % len(answer.body))]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body, "more_body": False})


async def _finish(sent: Sent, answer: Kept | None) -> None:
    try:
        await actions.finish(sent, answer)
    except DatabaseDown as error:
        # The answer has gone out; a repeated request is told that the outcome is not known.
        logger.warning("an answer could not be kept for repetition: {}", error)

"""The way from the playground to the gateway: the api process asks as any program does, and hands on what comes.

Bounded: one answer at a time for a session, so many in a process, so long and so large; who leaves, ends the request.
"""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from functools import cache
from http import HTTPStatus
from typing import Final, TypeVar
from uuid import UUID

import httpx
import msgspec

from ias.billing.playground.domain import MOST_FINISH, MOST_ID, MOST_TOKENS, Refusal, Unnamed, refusal
from ias.settings import settings

LONGEST_S: Final = 600.0
QUIET_S: Final = 300.0
"""Without a byte for so long, the answer is given up; gateways give up earlier."""
WHOLE_S: Final = 120.0
"""A browser without JavaScript waits for the whole answer: for so long at most."""
MOST_BYTES: Final = 4 << 20
AT_ONCE: Final = 64
"""Answers that one process hands on at a time."""
_REFUSED_BYTES: Final = 64 << 10

_under_way: set[UUID] = set()
ResultT = TypeVar("ResultT")


class Begun(msgspec.Struct, frozen=True):
    """The gateway answers; it knows the request by this id."""

    request_id: str


class _Message(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int | None = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer, and what it used."""

    text: str
    reasoning: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    total_ms: float
    request_id: str


class _Ended(Exception):
    """There is no more of the answer, for this reason."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(why.message)
        self.why = why


async def streamed(session: UUID, token: str, body: bytes) -> AsyncIterator[Begun | bytes | Refusal]:
    """The answer's lines as they come; a refusal is the last thing that comes."""
    unnamed = Unnamed()
    try:
        with _turn(session):
            async with _asked(token, body) as answer:
                yield Begun(answer.headers.get("x-request-id", "")[:MOST_ID])
                async for chunk in _bounded(answer):
                    if lines := unnamed.take(chunk):
                        yield lines
                yield unnamed.take(b"\n")
    except _Ended as ended:
        yield ended.why
    except httpx.HTTPError as error:
        yield _away(error)


async def whole(session: UUID, token: str, body: bytes) -> Answer | Refusal:
    """The answer once it is there."""
    began, got = time.monotonic(), bytearray()
    try:
        with _turn(session):
            async with asyncio.timeout(WHOLE_S), _asked(token, body) as answer:
                async for chunk in _bounded(answer):
                    got += chunk
    except _Ended as ended:
        return ended.why
    except (httpx.HTTPError, TimeoutError) as error:
        return _away(error)
    return read(bytes(got), answer.headers.get("x-request-id", ""), (time.monotonic() - began) * 1000)


async def unless_left(
    work: Coroutine[object, object, ResultT], receive: Callable[[], Awaitable[object]]
) -> ResultT | None:
    """What the work comes to; None where whoever waits for it has left, with which it ends.

    Args:
        work: what they wait for.
        receive: says that they have, after the whole request was read (ASGI's).
    """
    task = asyncio.create_task(work)
    leaving = asyncio.ensure_future(receive())
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for each in (task, leaving):
            each.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await each


@contextmanager
def _turn(session: UUID) -> Iterator[None]:
    """The session's one answer.

    Raises:
        _Ended: another one is under way, or there are too many here.
    """
    if session in _under_way:
        message = "Another answer is still being written for you."
        raise _Ended(Refusal(message=message, todo="Stop it, or wait for its end; then send this again."))
    if len(_under_way) >= AT_ONCE:
        raise _Ended(Refusal(message="Too many playgrounds are busy.", todo="Wait a moment, then send it again."))
    _under_way.add(session)
    try:
        yield
    finally:
        _under_way.discard(session)


@asynccontextmanager
async def _asked(token: str, body: bytes) -> AsyncIterator[httpx.Response]:
    """The gateway's answer, whose body is still to come.

    Raises:
        _Ended: it refuses.
    """
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept-Encoding": "identity"}
    url = f"{settings().gateway_from_here.rstrip('/')}/v1/chat/completions"
    patience = httpx.Timeout(10.0, read=QUIET_S)
    async with (
        httpx.AsyncClient(verify=_trusted(), timeout=patience, trust_env=False) as client,
        client.stream("POST", url, content=body, headers=headers) as answer,
    ):
        if answer.status_code != HTTPStatus.OK:
            raise _Ended(refusal(answer.status_code, await _some(answer)))
        yield answer


async def _bounded(answer: httpx.Response) -> AsyncIterator[bytes]:
    """The bytes as they come.

    Raises:
        _Ended: they are too many, or come for too long.
    """
    until, room = time.monotonic() + LONGEST_S, MOST_BYTES
    async for chunk in answer.aiter_raw():
        room -= len(chunk)
        if room < 0 or time.monotonic() > until:
            raise _Ended(_too_much())
        yield chunk


async def _some(answer: httpx.Response) -> bytes:
    read = bytearray()
    async for chunk in answer.aiter_raw():
        read += chunk
        if len(read) > _REFUSED_BYTES:
            break
    return bytes(read)


def read(body: bytes, request_id: str, took_ms: float) -> Answer | Refusal:
    """What an engine answered, as far as it can be shown: it may say anything."""
    try:
        told = msgspec.json.decode(body, type=_Completion)
        choice = told.choices[0]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, IndexError):
        return Refusal(message="The gateway's answer cannot be read.", todo="Send it again, or choose another model.")
    details = told.usage.prompt_tokens_details
    return Answer(
        text=choice.message.content or "",
        reasoning=choice.message.reasoning_content or "",
        finish=(choice.finish_reason or "")[:MOST_FINISH],
        prompt_tokens=_counted(told.usage.prompt_tokens),
        completion_tokens=_counted(told.usage.completion_tokens),
        cached_tokens=_counted((details.cached_tokens or 0) if details else 0),
        total_ms=took_ms,
        request_id=request_id[:MOST_ID],
    )


def _counted(tokens: int) -> int:
    return min(max(tokens, 0), MOST_TOKENS)


def _too_much() -> Refusal:
    message = f"The playground shows {LONGEST_S / 60:.0f} minutes and {MOST_BYTES >> 20} MiB of an answer at most."
    return Refusal(message=message, todo="Ask for fewer tokens, or call the model from a program.")


def _away(error: Exception) -> Refusal:
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        message, todo = "The gateway did not answer in time.", "Ask for fewer tokens, or send it again."
    else:
        message = "The gateway cannot be reached from here."
        todo = "Send it again. If it stays, whoever operates this service sees to IAS_GATEWAY_URL and the gateways."
    return Refusal(message=message, todo=todo)


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()

"""The typed client of the management API: for the command line and the tests.

Answers are decoded into the Structs that the caller names. Lists come as they are asked for, page after page. Where an
access token has expired, the session is renewed once, and the request is sent again.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import TypeVar
from uuid import uuid4

import httpx
import msgspec

from ias.problems import ProblemDetails

PREFIX = "/api/v1"
TIMEOUT_S = 30.0
SOURCE = "cli"

ThingT = TypeVar("ThingT")
Query = Mapping[str, object]
Headers = Mapping[str, str]
NONE: Headers = {}


class Tokens(msgspec.Struct, frozen=True):
    """A session; the refresh token works once."""

    access_token: str
    refresh_token: str = ""


Exchange = Callable[[Tokens], Tokens | None]
"""Gives a session's refresh token for the next session; None where it is taken no more."""
Renewal = Callable[[Tokens, Exchange], Tokens | None]
"""Finds the session to go on with when this one's access token has expired; None where there is none."""


class Unreachable(Exception):
    """The API does not answer; the message says where it was looked for."""


class Refused(Exception):
    """The API refused; `problem` says why."""

    def __init__(self, problem: ProblemDetails, retry_after: str = "") -> None:
        super().__init__(problem.detail)
        self.problem = problem
        self.retry_after = retry_after


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]
    next_cursor: str | None


class Client:
    """Speaks to one API as one person.

    Args:
        url: where the API is, without the path.
        tokens: the session, None before there is one.
        renewal: what to do where the access token has expired; where several share a session it is theirs to agree,
            for a refresh token works once, and using it again ends the session.

    Raises:
        Unreachable: the URL is none.
    """

    def __init__(self, url: str, tokens: Tokens | None, renewal: Renewal = lambda old, exchange: exchange(old)) -> None:
        self._tokens = tokens
        self._renewal = renewal
        self._url = url
        headers = {"x-ias-source": SOURCE, "accept": "application/json"}
        try:
            self._http = httpx.Client(base_url=url.rstrip("/") + PREFIX, timeout=TIMEOUT_S, headers=headers)
        except httpx.InvalidURL as error:
            raise Unreachable(f"{url} is no address: {error}") from None
        if not url.startswith(("http://", "https://")):
            raise Unreachable(f"{url} is no address; write https:// before it, or http://")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, kind: type[ThingT], query: Query | None = None) -> ThingT:
        """One thing."""
        return self._read(self._send("GET", path, query=query).content, kind)

    def seen(self, path: str, kind: type[ThingT]) -> tuple[ThingT, str]:
        """One thing with its ETag, to be given back to `put`."""
        answer = self._send("GET", path)
        return self._read(answer.content, kind), answer.headers.get("etag", "*")

    def put(self, path: str, body: object, kind: type[ThingT], etag: str) -> ThingT:
        """Replace a thing where it still is what it was when its ETag was read; else it is refused with 412."""
        answer = self._send("PUT", path, body=body, more={"if-match": etag})
        return self._read(answer.content, kind)

    def listed(self, path: str, kind: type[ThingT], query: Query | None = None) -> Iterator[ThingT]:
        """Every item of a list, page after page."""
        cursor: str | None = None
        while True:
            asked = {**(query or {}), **({} if cursor is None else {"cursor": cursor})}
            page = self.get(path, _Page, asked)
            for item in page.items:
                yield self._read(item, kind)
            cursor = page.next_cursor
            if cursor is None:
                return

    def send(self, method: str, path: str, body: object, kind: type[ThingT]) -> ThingT:
        """Change something and read what it is now. A POST is sent with a key of its own, so that repeating is safe."""
        return self._read(self._send(method, path, body=body).content, kind)

    def do(self, method: str, path: str, body: object = None) -> None:
        """Change something that there is nothing to read of."""
        self._send(method, path, body=body)

    def lines(self, path: str, query: Query | None = None) -> Iterator[str]:
        """The lines of an export, as they come.

        Raises:
            Unreachable: the API does not answer, or broke off in the middle.
        """
        try:
            yield from self._lines(path, query)
        except httpx.TransportError as error:
            raise Unreachable(f"{self._url} broke off: {_why(error)}") from None

    def _lines(self, path: str, query: Query | None) -> Iterator[str]:
        renewed = False
        while True:
            headers = self._headers() | {"accept": "*/*"}
            with self._http.stream("GET", path, params=_said(query), headers=headers) as answer:
                if answer.is_success:
                    yield from answer.iter_lines()
                    return
                answer.read()
            if renewed or answer.status_code != HTTPStatus.UNAUTHORIZED or not self._renew():
                raise refusal(answer)
            renewed = True

    def _send(
        self, method: str, path: str, query: Query | None = None, body: object = None, more: Headers = NONE
    ) -> httpx.Response:
        content = None if body is None else msgspec.json.encode(body)
        once = {"idempotency-key": str(uuid4())} if method == "POST" and self._tokens else {}
        sent = (content, {**once, **more})
        answer = self._once(method, path, query, sent)
        if answer.status_code == HTTPStatus.UNAUTHORIZED and self._renew():
            answer = self._once(method, path, query, sent)
        if not answer.is_success:
            raise refusal(answer)
        return answer

    def _once(self, method: str, path: str, query: Query | None, sent: tuple[bytes | None, Headers]) -> httpx.Response:
        content, more = sent
        typed = {} if content is None else {"content-type": "application/json"}
        headers = {**self._headers(), **typed, **more}
        try:
            return self._http.request(method, path, params=_said(query), content=content, headers=headers)
        except httpx.TransportError as error:
            raise Unreachable(f"{self._url} does not answer: {_why(error)}") from None

    def _headers(self) -> dict[str, str]:
        return {} if self._tokens is None else {"authorization": f"Bearer {self._tokens.access_token}"}

    def _renew(self) -> bool:
        if self._tokens is None:
            return False
        renewed = self._renewal(self._tokens, self._exchanged)
        if renewed is None:
            return False
        self._tokens = renewed
        return True

    def _exchanged(self, old: Tokens) -> Tokens | None:
        if not old.refresh_token:
            return None
        body = msgspec.json.encode({"refresh_token": old.refresh_token})
        answer = self._once("POST", "/auth/refresh", None, (body, NONE))
        if answer.is_success:
            return self._read(answer.content, Tokens)
        if answer.is_server_error or answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise refusal(answer)  # which says nothing of the session
        return None

    def _read(self, answer: bytes | msgspec.Raw, kind: type[ThingT]) -> ThingT:
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.MsgspecError:
            raise Unreachable(f"{self._url} answers, but not as this API does; is the address right?") from None


def refusal(answer: httpx.Response) -> Refused | Unreachable:
    """Why the API refused; what answers may not be the API, or something before it that has had enough of us."""
    try:
        problem = msgspec.json.decode(answer.content, type=ProblemDetails)
    except msgspec.MsgspecError:
        detail = f"{answer.url} answered {answer.status_code}, which is not this API's way; is the address right?"
        if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
            return Unreachable(detail)
        problem = ProblemDetails(
            type="about:blank", title=answer.reason_phrase, status=answer.status_code, detail=detail
        )
    return Refused(problem, answer.headers.get("retry-after", ""))


def _said(query: Query | None) -> dict[str, str | list[str]]:
    return {name: _written(value) for name, value in (query or {}).items() if value is not None}


def _written(value: object) -> str | list[str]:
    if isinstance(value, tuple):
        return [str(part) for part in value]
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _why(error: httpx.TransportError) -> str:
    """The cause in words; some of httpx's errors have none."""
    return str(error) or type(error).__name__

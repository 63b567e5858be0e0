"""The typed client of the management API: for the command line and the tests.

Answers are decoded into the Structs that the caller names. Lists come as they are asked for, page after page. An
access token that has expired is exchanged once, with the refresh token, and the request is sent again.
"""

from collections.abc import Callable, Iterator, Mapping
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


class Tokens(msgspec.Struct, frozen=True):
    """A session; the refresh token works once."""

    access_token: str
    refresh_token: str = ""


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
        renewed: is told the next session when the access token had expired.
    """

    def __init__(self, url: str, tokens: Tokens | None, renewed: Callable[[Tokens], None] = lambda _: None) -> None:
        self._tokens = tokens
        self._renewed = renewed
        self._url = url
        headers = {"x-ias-source": SOURCE, "accept": "application/json"}
        self._http = httpx.Client(base_url=url.rstrip("/") + PREFIX, timeout=TIMEOUT_S, headers=headers)

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, kind: type[ThingT], query: Query | None = None) -> ThingT:
        """One thing."""
        return msgspec.json.decode(self._send("GET", path, query=query).content, type=kind)

    def listed(self, path: str, kind: type[ThingT], query: Query | None = None) -> Iterator[ThingT]:
        """Every item of a list, page after page."""
        cursor: str | None = None
        while True:
            asked = {**(query or {}), **({} if cursor is None else {"cursor": cursor})}
            page = self.get(path, _Page, asked)
            for item in page.items:
                yield msgspec.json.decode(item, type=kind)
            cursor = page.next_cursor
            if cursor is None:
                return

    def send(self, method: str, path: str, body: object, kind: type[ThingT]) -> ThingT:
        """Change something and read what it is now. A POST is sent with a key of its own, so that repeating is safe."""
        return msgspec.json.decode(self._send(method, path, body=body).content, type=kind)

    def do(self, method: str, path: str, body: object = None) -> None:
        """Change something that there is nothing to read of."""
        self._send(method, path, body=body)

    def lines(self, path: str, query: Query | None = None, accept: str = "*/*") -> Iterator[str]:
        """The lines of an export, as they come."""
        with self._http.stream(
            "GET", path, params=_said(query), headers=self._headers() | {"accept": accept}
        ) as answer:
            if answer.is_error:
                answer.read()
                raise refusal(answer)
            yield from answer.iter_lines()

    def _send(self, method: str, path: str, query: Query | None = None, body: object = None) -> httpx.Response:
        content = None if body is None else msgspec.json.encode(body)
        once = {"idempotency-key": str(uuid4())} if method == "POST" and self._tokens else {}
        answer = self._once(method, path, query, (content, once))
        if answer.status_code == HTTPStatus.UNAUTHORIZED and self._renew():
            answer = self._once(method, path, query, (content, once))
        if answer.is_error:
            raise refusal(answer)
        return answer

    def _once(
        self, method: str, path: str, query: Query | None, sent: tuple[bytes | None, dict[str, str]]
    ) -> httpx.Response:
        content, more = sent
        headers = self._headers() | more | ({} if content is None else {"content-type": "application/json"})
        try:
            return self._http.request(method, path, params=_said(query), content=content, headers=headers)
        except httpx.TransportError as error:
            raise Unreachable(f"{self._url} does not answer: {error}") from None
        except httpx.InvalidURL as error:
            raise Unreachable(f"{self._url} is no address: {error}") from None

    def _headers(self) -> dict[str, str]:
        return {} if self._tokens is None else {"authorization": f"Bearer {self._tokens.access_token}"}

    def _renew(self) -> bool:
        if self._tokens is None or not self._tokens.refresh_token:
            return False
        body = msgspec.json.encode({"refresh_token": self._tokens.refresh_token})
        answer = self._once("POST", "/auth/refresh", None, (body, {}))
        if answer.is_error:
            return False
        self._tokens = msgspec.json.decode(answer.content, type=Tokens)
        self._renewed(self._tokens)
        return True


def refusal(answer: httpx.Response) -> Refused:
    """Why the API refused, also where what answers is not the API."""
    try:
        problem = msgspec.json.decode(answer.content, type=ProblemDetails)
    except msgspec.MsgspecError:
        detail = f"{answer.url} answered {answer.status_code}, which is not this API's way; is the address right?"
        problem = ProblemDetails(
            type="about:blank", title=answer.reason_phrase, status=answer.status_code, detail=detail
        )
    return Refused(problem, answer.headers.get("retry-after", ""))


def _said(query: Query | None) -> dict[str, str]:
    return {name: str(value) for name, value in (query or {}).items() if value is not None}

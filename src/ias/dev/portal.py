"""The management API as the demo uses it: somebody logged in who asks; a refusal becomes a sentence."""

import ssl
from typing import TypeVar

import httpx
import msgspec

from ias.dev.fault import Fault
from ias.dev.state import Person

TIMEOUT_S = 15.0
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For httpx: everything here is plain HTTP on this machine, and loading certificates takes longer than asking."""
ReplyT = TypeVar("ReplyT")


class Login(msgspec.Struct):
    """What is sent to log in."""

    email: str
    password: str


class LoggedIn(msgspec.Struct):
    """The answer to it."""

    access_token: str


class Named(msgspec.Struct):
    """An organisation, or anything else that has an id and a name."""

    id: str
    name: str


class Found(msgspec.Struct):
    """A list of named things."""

    items: list[Named]


class Portal:
    """A connection to the management API, as nobody or as somebody."""

    def __init__(self, api_url: str) -> None:
        self._http = httpx.Client(
            base_url=f"{api_url}/api/v1", timeout=TIMEOUT_S, verify=NO_CERTIFICATES, trust_env=False
        )

    def become(self, person: Person) -> bool:
        """Log in; False where there is no such person with this password."""
        self._http.headers.pop("Authorization", None)
        answer = self._send("POST", "/auth/login", Login(person.email, person.password))
        if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.BAD_REQUEST}:
            return False
        told = _read(answer, LoggedIn)
        self._http.headers["Authorization"] = f"Bearer {told.access_token}"
        return True

    def get(self, path: str, kind: type[ReplyT]) -> ReplyT:
        """Read something.

        Raises:
            Fault: the API refuses or does not answer.
        """
        return _read(self._send("GET", path, None), kind)

    def send(self, method: str, path: str, body: object, kind: type[ReplyT]) -> ReplyT:
        """Change something.

        Raises:
            Fault: the API refuses or does not answer.
        """
        return _read(self._send(method, path, body), kind)

    def find(self, path: str, name: str) -> Named | None:
        """The thing with this name in a list."""
        for item in self.get(f"{path}?limit=200", Found).items:
            if item.name == name:
                return item
        return None

    def close(self) -> None:
        """Let go of the connection."""
        self._http.close()

    def _send(self, method: str, path: str, body: object) -> httpx.Response:
        content = None if body is None else msgspec.json.encode(body)
        try:
            return self._http.request(method, path, content=content, headers={"Content-Type": "application/json"})
        except httpx.HTTPError as error:
            raise Fault(f"the API does not answer {method} {path}: {str(error) or type(error).__name__}") from error


def _read(answer: httpx.Response, kind: type[ReplyT]) -> ReplyT:
    request = f"{answer.request.method} {answer.request.url.path}"
    if not answer.is_success:
        raise Fault(f"the API refuses {request} with {answer.status_code}: {answer.text[:500]}")
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except msgspec.DecodeError as error:
        raise Fault(f"the API answers {request} in an unexpected form: {error}") from error

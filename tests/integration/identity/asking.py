"""Asking the API often: one connection, no more work for a request than it needs."""

from http.client import HTTPConnection
from itertools import count
from typing import Any

import msgspec

from tests.integration.identity.model import Session

_NUMBERS = count(1)


class Asking:
    """A connection to the API behind a proxy that it trusts: each request comes from an address of its own."""

    def __init__(self, url: str) -> None:
        self.connection = HTTPConnection(url.removeprefix("http://"), timeout=60)

    def ask(self, session: Session | None, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and body of the answer."""
        number = next(_NUMBERS)
        headers = {"x-forwarded-for": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}
        if session is not None:
            headers["authorization"] = f"Bearer {session.access}"
        if body is not None:
            headers["content-type"] = "application/json"
        sent = None if body is None else msgspec.json.encode(body)
        self.connection.request(method, f"/api/v1{path}", sent, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if sent is not None and answer.status >= 400:
            self.connection.close()  # the server may, as it may not have read what came with a request that it refused
        return answer.status, msgspec.json.decode(text) if text else None

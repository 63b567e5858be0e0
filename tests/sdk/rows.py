"""The rows of the table of errors in the gateway's specification: how each comes about, and what it must look like."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import time
from typing import Any, Literal

import httpx

from ias.contract import keys
from ias.edge import KeyRecord
from tests.integration.gateway.place import CHAT, KEY, USER, Tenant
from tests.sdk.models import allow

NOBODY = "http://127.0.0.1:9"
Gateway = Literal["usual", "blind", "full"]
"""`blind` has no Redis, `full` has as many requests open as it may."""


async def _as_it_is(tenant: Tenant) -> None:
    """Nothing is changed."""


@dataclass(frozen=True)
class Row:
    """One way for a chat to fail.

    Attributes:
        name: what is the matter.
        status: of the answer; 200 where the stream is already under way.
        kind: the error's `type`.
        code: the error's `code`.
        error: the class of both SDKs' errors.
        sends: how often an SDK with its default of two retries sends the request.
        prepare: brings it about, for the tenant that calls.
        body: what the request has besides model and messages.
        text: the user's message.
        token: the key that is used; the tenant's own where there is none.
        param: the error's `param`.
        headers: what the answer must have.
        gateway: who is asked.
        busy: whether a stream of the tenant's is open all the while.
    """

    name: str
    status: int
    kind: str
    code: str | None
    error: str
    sends: int = 1
    prepare: Callable[[Tenant], Awaitable[None]] = _as_it_is
    body: Mapping[str, Any] = field(default_factory=dict)
    text: str = "hello"
    token: Callable[[], str] | None = None
    param: str | None = None
    headers: frozenset[str] = frozenset()
    gateway: Gateway = "usual"
    busy: bool = False

    def asked(self) -> dict[str, Any]:
        """The request's body."""
        return {"model": "mock-gpt", "messages": [{"role": "user", "content": self.text}], **self.body}


async def _revoke(tenant: Tenant) -> None:
    await tenant.edge.revoke(tenant.tag, tenant.record, 2)


async def _expire(tenant: Tenant) -> None:
    late = KeyRecord(tenant.record.fingerprint, KEY, USER, expires_at=int(time()) - 60)
    await tenant.edge.grant(tenant.tag, late, 2)


async def _suspend(tenant: Tenant) -> None:
    await tenant.project("org", {"id": "o", "st": "suspended"})


async def _suspend_user(tenant: Tenant) -> None:
    await tenant.project("org", {"id": "o", "st": "active", f"x:{USER}": 1})


@asynccontextmanager
async def occupied(tenant: Tenant, url: str) -> AsyncIterator[None]:
    """A stream of the tenant's is open at a gateway, and takes minutes."""
    body = tenant.body("[[mock tokens=4000 delay_ms=100]]", stream=True, max_tokens=4000)
    async with (
        httpx.AsyncClient(timeout=60) as client,
        client.stream("POST", f"{url}{CHAT}", json=body, headers=tenant.headers) as answer,
    ):
        assert answer.status_code == 200
        yield


async def _one_at_once(tenant: Tenant) -> None:
    await tenant.limit(conc=1)


async def _few_tokens_a_minute(tenant: Tenant) -> None:
    await tenant.limit(tpm=10)


async def _spend(tenant: Tenant) -> None:
    await tenant.limit(tokens=5)


async def _spend_user(tenant: Tenant) -> None:
    await tenant.limit(tokens=1_000_000, udef=5)


async def _nobody_there(tenant: Tenant) -> None:
    await allow(tenant, NOBODY)


async def _forget(tenant: Tenant) -> None:
    await tenant.edge.redis.hdel(f"{{o:{tenant.tag}}}:v", "complete")


_KEY = {"status": 401, "kind": "invalid_request_error", "code": "invalid_api_key", "error": "AuthenticationError"}
_DENIED = {
    "status": 403,
    "kind": "permission_error",
    "code": "insufficient_permissions",
    "error": "PermissionDeniedError",
}
_BODY = {"status": 400, "kind": "invalid_request_error", "error": "BadRequestError"}
_RATE = {"status": 429, "kind": "rate_limit_error", "code": "rate_limit_exceeded", "error": "RateLimitError"}
_BUDGET = {
    "status": 429,
    "kind": "insufficient_quota",
    "code": "insufficient_quota",
    "error": "RateLimitError",
    "headers": frozenset(("x-should-retry", "retry-after")),
}
_BUSY = {
    "status": 503,
    "kind": "server_error",
    "code": "server_overloaded",
    "error": "InternalServerError",
    "sends": 3,
    "headers": frozenset(("retry-after",)),
}
_NOT_READY = {**_BUSY, "code": "not_ready"}
_BROKE = {
    "status": 502,
    "kind": "server_error",
    "code": "upstream_error",
    "error": "InternalServerError",
    "sends": 3,
}
ROWS = (
    Row("a malformed key", **_KEY, token=lambda: "sk-nonsense"),
    Row("an unknown key", **_KEY, token=lambda: keys.mint(keys.new_tag())),
    Row("a revoked key", **_KEY, prepare=_revoke),
    Row("an expired key", **_KEY, prepare=_expire),
    Row("a suspended organisation", **_DENIED, prepare=_suspend),
    Row("a suspended user", **_DENIED, prepare=_suspend_user),
    Row(
        "an unknown model",
        404,
        "invalid_request_error",
        "model_not_found",
        "NotFoundError",
        body={"model": "gpt-9"},
        param="model",
    ),
    Row("a field out of range", **_BODY, code=None, body={"n": 0}, param="n"),
    Row("a field that is forbidden", **_BODY, code=None, body={"priority": 1}, param="priority"),
    Row("a prompt too long", **_BODY, code="context_length_exceeded", text="long " * 9000, param="messages"),
    Row(
        "too many requests at once",
        **_RATE,
        sends=3,
        prepare=_one_at_once,
        busy=True,
        headers=frozenset(("retry-after", "retry-after-ms")),
    ),
    Row(
        "a prompt of more tokens than a minute has",
        **_RATE,
        prepare=_few_tokens_a_minute,
        headers=frozenset(("x-should-retry",)),
    ),
    Row("an organisation's budget", **_BUDGET, prepare=_spend),
    Row("a user's budget", **_BUDGET, prepare=_spend_user),
    Row("no healthy replica", **_BUSY, prepare=_nobody_there),
    Row("an engine whose queue is full", **_BUSY, text="[[mock status=503]]"),
    Row("a gateway that sheds load", **_BUSY, gateway="full"),
    Row("an organisation that is not projected yet", **_NOT_READY, prepare=_forget),
    Row("Redis is down", **_NOT_READY, gateway="blind"),
    Row("an engine that fails", **_BROKE, text="[[mock status=500]]"),
    Row("an engine that does not know the gateway", **_BROKE, text="[[mock status=401]]"),
    Row("an engine that breaks off", **_BROKE, text="[[mock die_after=1]]"),
    Row(
        "an engine that is silent",
        504,
        "server_error",
        "upstream_timeout",
        "InternalServerError",
        sends=3,
        text="[[mock first_ms=60000]]",
        body={"stream": True},
    ),
    Row(
        "a stream that breaks off",
        200,
        "server_error",
        "upstream_error",
        "APIError",
        text="[[mock tokens=20 delay_ms=2 die_after=4]]",
        body={"stream": True},
    ),
)

"""What the soak's clients ask for, drawn at random: requests of all kinds, faults for the engine, errors of ours."""

import random
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec

CHAT, TEXT, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
MODEL, EMBEDDER = "mock-gpt", "mock-embed"
FAULT_SHARE = 0.01


class Tenant(StrEnum):
    """Whose key is used: one without limits, one whose rate is soon reached, one whose budget is soon spent."""

    FREE = "free"
    TIGHT = "tight"
    POOR = "poor"


class Kind(StrEnum):
    """What sort of request it is."""

    STREAM = "stream"
    UNARY = "unary"
    TEXT_STREAM = "text stream"
    EMBEDDING = "embedding"
    GIVEN_UP = "given up"
    CLIENT_ERROR = "client error"
    LISTING = "listing"


class Fault(StrEnum):
    """What the engine is told to do wrong."""

    DIE = "die"
    HANG = "hang"
    REFUSE = "503"
    ERROR_CHUNK = "error chunk"


@dataclass(frozen=True)
class Plan:
    """One request.

    Attributes:
        tokens: of the answer; a whole one reports just so many.
        give_up_after: reads of a stream, or milliseconds of a whole answer, after which the client hangs up.
        expects: status and code of an error that is the client's own.
        delay_ms: between two tokens.
        usage: whether a stream is asked to tell its usage.
    """

    kind: Kind
    path: str
    body: bytes = b""
    method: str = "POST"
    tenant: Tenant = Tenant.FREE
    token: str | None = None
    streamed: bool = False
    usage: bool = False
    tokens: int = 0
    delay_ms: int = 0
    fault: Fault | None = None
    give_up_after: int | None = None
    expects: tuple[int, str | None] | None = None
    headers: dict[str, str] = field(default_factory=dict)


_KINDS = {
    Kind.STREAM: 46,
    Kind.UNARY: 28,
    Kind.TEXT_STREAM: 6,
    Kind.EMBEDDING: 7,
    Kind.GIVEN_UP: 7,
    Kind.CLIENT_ERROR: 5,
    Kind.LISTING: 1,
}
_TENANTS = {Tenant.FREE: 93, Tenant.TIGHT: 5, Tenant.POOR: 2}
_SAID = "Tell me of the sea, of its tides and of all that lives in it. "
_JSON = {"content-type": "application/json"}


def draw(dice: random.Random) -> Plan:
    """The next request."""
    (kind,) = dice.choices(list(_KINDS), list(_KINDS.values()))
    (tenant,) = dice.choices(list(_TENANTS), list(_TENANTS.values()))
    if kind is Kind.CLIENT_ERROR:
        return _client_error(dice)
    if kind is Kind.LISTING:
        return Plan(kind, dice.choice(("/v1/models", "/v1/usage/limits")), method="GET")
    if kind is Kind.EMBEDDING:
        return _embedding(dice, tenant)
    return _completion(dice, kind, tenant)


def _completion(dice: random.Random, kind: Kind, tenant: Tenant) -> Plan:
    tokens = dice.randint(2, 40)
    streamed = kind in {Kind.STREAM, Kind.TEXT_STREAM} or (kind is Kind.GIVEN_UP and dice.random() < 0.7)
    # One in a hundred of all requests, of which completions without an early end are four in five.
    faulty = kind is not Kind.GIVEN_UP and tenant is Tenant.FREE and dice.random() < FAULT_SHARE / 0.75
    fault = dice.choice(list(Fault)) if faulty else None
    if fault is not None:
        tokens = dice.randint(10, 40)
    usage = streamed and dice.random() < 0.5
    delay = dice.choice((0, 0, 5, 10, 20))
    told = f"[[mock tokens={tokens} delay_ms={delay}{_directive(dice, fault)}]]"
    said = f"{told} {_SAID * dice.randint(0, 20)}"
    body: dict[str, Any] = {"model": MODEL, "max_tokens": 64, "stream": streamed}
    if usage:
        body["stream_options"] = {"include_usage": True}
    path = TEXT if kind is Kind.TEXT_STREAM else CHAT
    body |= {"prompt": said} if path == TEXT else {"messages": [{"role": "user", "content": said}]}
    give_up = None
    if kind is Kind.GIVEN_UP:
        give_up = dice.randint(0, 5) if streamed else dice.randint(0, 100)
    encoded = msgspec.json.encode(body)
    return Plan(kind, path, encoded, "POST", tenant, None, streamed, usage, tokens, delay, fault, give_up, None, _JSON)


def _directive(dice: random.Random, fault: Fault | None) -> str:
    after = dice.randint(1, 8)
    return {
        None: "",
        Fault.DIE: f" die_after={after}",
        Fault.HANG: f" hang_after={after}",
        Fault.REFUSE: " status=503",
        Fault.ERROR_CHUNK: f" error_chunk_after={after}",
    }[fault]


def _embedding(dice: random.Random, tenant: Tenant) -> Plan:
    texts = [_SAID * dice.randint(1, 4) for _ in range(dice.randint(1, 3))]
    body = msgspec.json.encode({"model": EMBEDDER, "input": texts})
    return Plan(Kind.EMBEDDING, EMBEDDINGS, body, tenant=tenant, headers=_JSON)


def _client_error(dice: random.Random) -> Plan:
    """Something that a client does wrong, and what it must be told."""
    good = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 1}
    wrongs: tuple[tuple[bytes, int, str | None], ...] = (
        (b"{nonsense", 400, None),
        (msgspec.json.encode(good | {"no_such_field": 1}), 400, None),
        (msgspec.json.encode(good | {"max_tokens": 0}), 400, None),
        (msgspec.json.encode(good | {"model": "no-such-model"}), 404, "model_not_found"),
        (msgspec.json.encode(good | {"messages": [{"role": "user", "content": "x" * 40_000}]}), 400, None),
    )
    ours = Kind.CLIENT_ERROR
    plans = [Plan(ours, CHAT, body, expects=(status, code), headers=_JSON) for body, status, code in wrongs]
    whole = msgspec.json.encode(good)
    plans += [
        Plan(ours, CHAT, whole, token="sk-nobody-has-this-key", expects=(401, "invalid_api_key"), headers=_JSON),
        Plan(ours, CHAT, whole, expects=(415, None), headers={"content-type": "text/plain"}),
        Plan(ours, CHAT, method="GET", expects=(405, None)),
        Plan(ours, "/v1/no/such/path", whole, expects=(404, None), headers=_JSON),
    ]
    return dice.choice(plans)

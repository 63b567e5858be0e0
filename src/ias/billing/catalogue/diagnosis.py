"""What a trial of a model comes to: for each replica what is well and what is not, and what to do about that."""

from collections.abc import Iterator
from enum import StrEnum
from uuid import UUID

import msgspec

from ias.billing.catalogue.domain import Model
from ias.contract.trials import Replica, Told, Tried

_UNAUTHORIZED = (401, 403)
_REDIRECTS = range(300, 400)
_NOT_FOUND = 404
_MOST_NAMES = 5


class State(StrEnum):
    """How a check went. `advice` keeps no request from being served, or counted."""

    OK = "ok"
    ADVICE = "advice"
    WRONG = "wrong"


class Check(msgspec.Struct, frozen=True):
    """One thing that was tried; `mend` says in a sentence what to do, empty where it is ok."""

    what: str
    state: State
    found: str
    mend: str = ""


class ReplicaTest(msgspec.Struct, frozen=True, kw_only=True):
    """How a replica did.

    Attributes:
        url: its base URL.
        ok: whether nothing is wrong.
        checks: what was tried, in order.
        latency_ms: how long the smallest request took; null where it was not answered.
        prompt_tokens: what the engine says that request used; null likewise.
        completion_tokens: likewise.
    """

    url: str
    ok: bool
    checks: list[Check]
    latency_ms: float | None
    prompt_tokens: int | None
    completion_tokens: int | None


class ModelTest(msgspec.Struct, frozen=True, kw_only=True):
    """How every replica of a model did, as a gateway reached it. Whether all is well is `ok`."""

    model_id: UUID
    name: str
    ok: bool
    gateway: str
    replicas: list[ReplicaTest]


def diagnosed(model: Model, told: Told) -> ModelTest:
    """What to make of a gateway's answer."""
    replicas = [_replica(model, replica) for replica in told.replicas]
    ok = bool(replicas) and all(replica.ok for replica in replicas)
    return ModelTest(model_id=model.id, name=model.name, ok=ok, gateway=told.gateway, replicas=replicas)


def _replica(model: Model, did: Replica) -> ReplicaTest:
    checks = list(_checks(model, did))
    answered = did.call.tried.well
    return ReplicaTest(
        url=did.url,
        ok=all(check.state is not State.WRONG for check in checks),
        checks=checks,
        latency_ms=did.call.tried.ms if answered else None,
        prompt_tokens=did.call.prompt_tokens if answered else None,
        completion_tokens=did.call.completion_tokens if answered else None,
    )


def _checks(model: Model, did: Replica) -> Iterator[Check]:
    tries = (did.health, did.models, did.call.tried)
    if not any(each.status for each in tries):
        # Said once: whatever keeps it from answering, keeps it from answering all three.
        yield Check("reachable", State.WRONG, did.call.tried.why, _mend(did.call.tried))
        return
    yield _health(did.health)
    yield from _names(model, did)
    yield _call(did)
    if did.call.tried.well:
        yield from _accounts(model, did)


def _health(tried: Tried) -> Check:
    if tried.well:
        return Check("health", State.OK, f"/health answers in {tried.ms:.0f} ms")
    return Check("health", State.WRONG, f"/health: {_said(tried)}", _mend(tried))


def _names(model: Model, did: Replica) -> Iterator[Check]:
    """Whether it serves the name that requests come with, and takes as long ones as the catalogue says."""
    if not did.models.well:
        yield Check("name", State.WRONG, f"/v1/models: {_said(did.models)}", _mend(did.models))
        return
    length = did.served.get(model.upstream_name)
    if length is None:
        names = ", ".join(list(did.served)[:_MOST_NAMES]) or "nothing"
        mend = f"set upstream_name to what it serves, or start it with --served-model-name {model.upstream_name}"
        yield Check("name", State.WRONG, f"it serves {names}, not {model.upstream_name}", mend)
        return
    yield Check("name", State.OK, f"it serves {model.upstream_name}")
    if length:
        yield _context(model.context_length, length)


def _context(ours: int, theirs: int) -> Check:
    if theirs < ours:
        found = f"it takes {theirs} tokens, the catalogue says {ours}"
        mend = f"set the model's context_length to {theirs}, or start the engine with --max-model-len {ours}"
        return Check("context length", State.WRONG, found, mend)
    if theirs > ours:
        found = f"it takes {theirs} tokens, the catalogue lets {ours} through"
        return Check("context length", State.ADVICE, found, f"set context_length to {theirs} if callers may use them")
    return Check("context length", State.OK, f"{ours} tokens, as in the catalogue")


def _call(did: Replica) -> Check:
    tried, path = did.call.tried, did.call.path
    if tried.well:
        return Check("call", State.OK, f"{path} answers in {tried.ms:.0f} ms")
    if tried.status == _NOT_FOUND and did.models.well:
        mend = "see that the engine serves this name, and chat, completions, embeddings or rankings"
        return Check("call", State.WRONG, f"{path}: {_said(tried)}", mend)
    return Check("call", State.WRONG, f"{path}: {_said(tried)}", _mend(tried))


def _accounts(model: Model, did: Replica) -> Iterator[Check]:
    """Whether what a request uses can be counted, and found again."""
    call = did.call
    if not call.usage:
        mend = "use an engine that tells `usage`: without it tokens are estimated, and ledger lines say so"
        yield Check("usage", State.WRONG, "it does not say what a request used", mend)
        return
    yield Check("usage", State.OK, f"{call.prompt_tokens} prompt and {call.completion_tokens} completion tokens")
    if call.details:
        yield Check("cached tokens", State.OK, "it says how much of a prompt was cached")
    else:
        cheaper = model.cached_input_rate != model.input_rate
        found = "it does not say how much of a prompt was cached"
        found += ", so that nobody gets the rate for cached tokens" if cheaper else ""
        state = State.WRONG if cheaper else State.ADVICE
        yield Check("cached tokens", state, found, "start the engine with --enable-prompt-tokens-details")
    if call.request_id:
        yield Check("request id", State.OK, "its answer carries our request id")
    else:
        mend = "start the engine with --enable-request-id-headers to find requests in its log"
        yield Check("request id", State.ADVICE, "its answer does not carry our request id", mend)


def _said(tried: Tried) -> str:
    return tried.why or f"status {tried.status}"


def _mend(tried: Tried) -> str:
    if tried.status in _REDIRECTS:
        return "register the address that it redirects to: gateways follow no redirect"
    if tried.status in _UNAUTHORIZED:
        return "start the engine without --api-key: gateways send it none, and networks keep others away"
    if tried.status:
        return "see the engine's log"
    if "IAS_UPSTREAM_ALLOW" in tried.why:
        return "register an address that gateways may reach, or allow its network on every gateway"
    if "no answer within" in tried.why:
        return "see that the address is right, that networks let gateways through, and that the engine is not stuck"
    return "see that the engine runs, and that its address and port are these"

"""The Function library of `functions.lua`: how it is called and what it answers.

Calls are given as the arguments of one Redis command, so that the gateway's pipelined connection and the monolith's
client send the same thing. Token counts are integers, leases seconds, waits milliseconds.
"""

import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources

import msgspec

Argument = str | bytes | int
Command = tuple[Argument, ...]
Reply = Sequence[object]

_SOURCE = resources.files("ias.contract").joinpath("functions.lua").read_text()
LIBRARY_VERSION = hashlib.sha256(_SOURCE.encode()).hexdigest()[:16]
LIBRARY = _SOURCE.replace("@VERSION@", LIBRARY_VERSION)

PROJECTION_KEY = "ias:projection"
"""Set once every organisation has been projected; without it an unknown organisation is not proof of a bad key."""
NO_OUTPUT = -1
NOT_ASKED = 0


class Ask(msgspec.Struct, frozen=True, gc=False):
    """What a request wants to hold: `prompt` tokens at most, `n` times `output` (NOT_ASKED, NO_OUTPUT or a limit)."""

    model: str
    prompt: int
    n: int
    output: int
    endpoint: str
    streamed: bool


class Rate(msgspec.Struct, frozen=True, gc=False):
    """A rate limit as seen after this request; `limit` -1 where there is none. `reset_ms` is until it is full again."""

    limit: int
    remaining: int
    reset_ms: int


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """The request holds its tokens. `output` is the output limit granted, perhaps less than was asked."""

    org: str
    user: str
    key: str
    route: bytes
    period: str
    output: int
    held: int
    requests: Rate
    tokens: Rate


class BadKey(msgspec.Struct, frozen=True):
    """Unknown, revoked or expired."""


class NotReady(msgspec.Struct, frozen=True):
    """Redis does not hold this organisation's whole projection (yet)."""

    unknown_org: bool


class Suspended(msgspec.Struct, frozen=True):
    """The `user` or the `organisation` is suspended."""

    scope: str


class UnknownModel(msgspec.Struct, frozen=True):
    """No such model, or not for this organisation; `models` are the ones it may call."""

    models: tuple[str, ...]


class Duplicate(msgspec.Struct, frozen=True):
    """The request id was used before."""


class OverBudget(msgspec.Struct, frozen=True):
    """The month's tokens of `scope` do not suffice; `now` is Redis's clock in Unix seconds."""

    scope: str
    limit: int
    used: int
    held: int
    period: str
    now: int


class OverRate(msgspec.Struct, frozen=True):
    """Too fast: `kind` is requests, tokens or concurrency; come back after `wait_ms`."""

    kind: str
    scope: str
    rate: Rate
    wait_ms: int


class TooLarge(msgspec.Struct, frozen=True):
    """The request alone is more than the tokens of a minute (`limit`)."""

    limit: int
    prompt: int


Refused = BadKey | NotReady | Suspended | UnknownModel | Duplicate | OverBudget | OverRate | TooLarge


def slot(tag: str) -> str:
    """The key that every call of an organisation names; its hash tag keeps all of it in one slot."""
    return f"{{o:{tag}}}"


def outbox(tag: str) -> str:
    """The organisation's outbox stream."""
    return f"{{o:{tag}}}:out"


def reserve(tag: str, fingerprint: str, request_id: str, ask: Ask, holder: tuple[str, int]) -> Command:
    """Hold tokens for a request. `holder` is the gateway's name and the lease in seconds."""
    gateway, lease = holder
    streamed = 1 if ask.streamed else 0
    return (
        *("FCALL", "ias_reserve", 1, slot(tag), fingerprint, request_id, ask.model),
        *(ask.prompt, ask.n, ask.output, lease, gateway, ask.endpoint, streamed),
    )


def tick(tag: str, lease: int, checkpoints: Sequence[Argument]) -> Command:
    """Extend leases; `checkpoints` is flat: request id, prompt, completion, cached tokens of each request."""
    return ("FCALL", "ias_tick", 1, slot(tag), lease, *checkpoints)


def settle(tag: str, request_id: str, tokens: tuple[int, int, int], ending: tuple[str, bool], facts: bytes) -> Command:
    """Close a request: prompt, completion and cached tokens, outcome and whether they are estimated.

    The caller appends `holder_of` so that a request which Redis lost is accounted all the same.
    """
    outcome, estimated = ending
    return ("FCALL", "ias_settle", 1, slot(tag), request_id, *tokens, outcome, 1 if estimated else 0, facts)


def holder_of(admitted: Admitted, gateway: str) -> Command:
    """The last arguments of `settle`: user, month and gateway."""
    return (admitted.user, admitted.period, gateway)


def sweep(tag: str, most: int) -> Command:
    """Settle up to `most` requests whose lease has lapsed."""
    return ("FCALL", "ias_sweep", 1, slot(tag), most)


def grant(tag: str, fingerprint: str, version: int, owner: tuple[str, str], expires_at: int | None) -> Command:
    """Let a key in. `owner` is its id and its user's; `expires_at` Unix seconds."""
    return (
        "FCALL",
        "ias_grant",
        1,
        slot(tag),
        fingerprint,
        version,
        *owner,
        "" if expires_at is None else expires_at,
    )


def revoke(tag: str, fingerprint: str, version: int, owner: tuple[str, str]) -> Command:
    """Turn a key away from now on."""
    return ("FCALL", "ias_revoke", 1, slot(tag), fingerprint, version, *owner)


def project(tag: str, section: str, version: int, fields: Mapping[str, Argument]) -> Command:
    """Replace a section (`org`, `pol`, `routes`) unless a newer version is there."""
    flat = [part for pair in fields.items() for part in pair]
    return ("FCALL", "ias_project", 1, slot(tag), section, version, *flat)


def restore(tag: str, period: str, used: int, by_user: Mapping[str, int]) -> Command:
    """Put the ledger's sums of a month under what Redis holds of it."""
    flat = [part for pair in by_user.items() for part in pair]
    return ("FCALL", "ias_restore", 1, slot(tag), period, used, *flat)


def complete(tag: str) -> Command:
    """Mark the organisation's projection as whole: from now on a missing key is a bad key."""
    return ("FCALL", "ias_complete", 1, slot(tag))


def models(tag: str, fingerprint: str) -> Command:
    """The routes that a key may call."""
    return ("FCALL_RO", "ias_models", 1, slot(tag), fingerprint)


def standing(tag: str, user: str) -> Command:
    """Used and held tokens of this month, of the organisation and of one user."""
    return ("FCALL_RO", "ias_standing", 1, slot(tag), user)


LIBRARY_VERSION_CALL: Command = ("FCALL_RO", "ias_version", 0)


def read_reserve(reply: Reply) -> Admitted | Refused:
    """What `reserve` answered."""
    if reply[0] != b"ok":
        return read_refusal(reply)
    limits = [int(text(part)) for part in reply[8:14]]
    return Admitted(
        org=text(reply[1]),
        user=text(reply[2]),
        key=text(reply[3]),
        route=blob(reply[4]),
        period=text(reply[5]),
        output=int(text(reply[6])),
        held=int(text(reply[7])),
        requests=Rate(*limits[:3]),
        tokens=Rate(*limits[3:]),
    )


def read_refusal(reply: Reply) -> Refused:
    """Why `reserve` or `models` refused.

    Raises:
        ValueError: the library answered what this release does not know.
    """
    kind, rest = text(reply[0]), reply[1:]
    match kind:
        case "key":
            return BadKey()
        case "not_ready" | "unknown_org":
            return NotReady(unknown_org=kind == "unknown_org")
        case "model":
            names = rest[0] if isinstance(rest[0], (list, tuple)) else ()
            return UnknownModel(models=tuple(sorted(text(name) for name in names)))
        case "duplicate":
            return Duplicate()
        case _:
            return _read_limit(kind, [text(part) for part in rest])


def _read_limit(kind: str, rest: list[str]) -> Refused:
    match kind, rest:
        case "suspended", [scope]:
            return Suspended(scope=scope)
        case "budget", [scope, limit, used, held, period, now]:
            return OverBudget(scope, int(limit), int(used), int(held), period, int(now))
        case "rate", [what, scope, limit, left, wait, reset]:
            return OverRate(what, scope, Rate(int(limit), int(left), int(reset)), int(wait))
        case "too_large", [limit, prompt]:
            return TooLarge(int(limit), int(prompt))
        case _:
            raise ValueError(f"the Function library answered {kind!r}; run `ias migrate up` with this release")


def text(part: object) -> str:
    """A reply's string."""
    return blob(part).decode()


def blob(part: object) -> bytes:
    """A reply's bytes; numbers come as integers."""
    if isinstance(part, bytes):
        return part
    if isinstance(part, int):
        return b"%d" % part
    raise ValueError(f"the Function library answered {part!r} where a string belongs")

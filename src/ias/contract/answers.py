"""What the Function library answers: admissions and refusals, read out of its replies."""

from collections.abc import Sequence

import msgspec

Reply = Sequence[object]
_STANDING = 7
_RATES = 6


class Rate(msgspec.Struct, frozen=True, gc=False):
    """A rate limit as seen after this request; `limit` is how many may come at once, -1 where there is none.

    `remaining` never says more, and `reset_ms` (until it is whole again) never less than is true.
    """

    limit: int
    remaining: int
    reset_ms: int


NO_RATE = Rate(-1, -1, 0)


class Near(msgspec.Struct, frozen=True, gc=False):
    """The upper bound of the prompt does not fit in the budget: count the prompt, and ask again without a guess."""

    route: bytes


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


class NoImages(msgspec.Struct, frozen=True):
    """The model takes no images."""


class Duplicate(msgspec.Struct, frozen=True):
    """The request id was used before."""


class OverBudget(msgspec.Struct, frozen=True):
    """The month's tokens of `scope` (organisation, user, key) do not suffice; `now`: Redis's clock in Unix seconds."""

    scope: str
    limit: int
    used: int
    held: int
    period: str
    now: int


class OverRate(msgspec.Struct, frozen=True):
    """Too fast: `kind` is requests, tokens or concurrency; come back after `wait_ms`, when all buckets have room.

    Attributes:
        limit: requests a second, tokens a minute, or requests at once; 0 lets nothing in, however long one waits.
        requests: the narrower bucket of requests as it is now.
        tokens: the narrower bucket of tokens as it is now.
    """

    kind: str
    scope: str
    limit: int
    wait_ms: int
    requests: Rate = NO_RATE
    tokens: Rate = NO_RATE


class TooLarge(msgspec.Struct, frozen=True):
    """The request alone is more than the tokens of a minute (`limit`)."""

    limit: int
    prompt: int


class Standing(msgspec.Struct, frozen=True):
    """One limit and what is used and held of it; `limit` -1 where there is none, `reset_ms` until it is whole again.

    `rate` is what comes back each second (requests) or minute (tokens), -1 for what does not come back by itself.
    """

    kind: str
    scope: str
    limit: int
    used: int
    held: int
    reset_ms: int
    rate: int


Refused = BadKey | NotReady | Suspended | UnknownModel | NoImages | Duplicate | Near | OverBudget | OverRate | TooLarge

_PLAIN: dict[str, Refused] = {
    "key": BadKey(),
    "not_ready": NotReady(unknown_org=False),
    "unknown_org": NotReady(unknown_org=True),
    "images": NoImages(),
    "duplicate": Duplicate(),
}
"""Refusals that say no more than what they are."""


def read_limits(reply: Reply) -> tuple[str, int, tuple[Standing, ...]] | Refused:
    """What `limits` answered: the month, Redis's clock in Unix milliseconds, and each limit."""
    if reply[0] != b"ok":
        return read_refusal(reply)
    parts = [text(part) for part in reply[3:]]
    rows = (parts[start : start + _STANDING] for start in range(0, len(parts), _STANDING))
    standings = (Standing(kind, scope, *map(int, numbers)) for kind, scope, *numbers in rows)
    return text(reply[1]), int(text(reply[2])), tuple(standings)


def read_refusal(reply: Reply) -> Refused:
    """Why `reserve` or `models` refused.

    Raises:
        ValueError: the library answered what this release does not know.
    """
    kind, rest = text(reply[0]), reply[1:]
    match kind:
        case "model":
            names = rest[0] if isinstance(rest[0], (list, tuple)) else ()
            return UnknownModel(models=tuple(sorted(text(name) for name in names)))
        case "near":
            return Near(blob(rest[0]))
        case _ if kind in _PLAIN:
            return _PLAIN[kind]
        case _:
            return _read_limit(kind, [text(part) for part in rest])


def _read_limit(kind: str, rest: list[str]) -> Refused:
    match kind, rest:
        case "suspended", [scope]:
            return Suspended(scope=scope)
        case "budget", [scope, limit, used, held, period, now]:
            return OverBudget(scope, int(limit), int(used), int(held), period, int(now))
        case "rate", [what, scope, limit, wait, *rates] if len(rates) == _RATES:
            requests, tokens = Rate(*map(int, rates[:3])), Rate(*map(int, rates[3:]))
            return OverRate(what, scope, int(limit), int(wait), requests, tokens)
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

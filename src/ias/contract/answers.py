"""What the Function library answers: admissions and refusals, read out of its replies."""

from collections.abc import Sequence
from typing import cast

import msgspec

Reply = Sequence[object]
_ENTRY = 2
_STANDING = 6
_UNLIMITED = 8
"""How long the answer to `reserve` is where no rate is limited."""


class Rate(msgspec.Struct, frozen=True, gc=False):
    """A rate limit as seen after this request; `limit` -1 where there is none. `reset_ms` is until it is full again."""

    limit: int
    remaining: int
    reset_ms: int


NO_RATE = Rate(-1, -1, 0)


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


class NoImages(msgspec.Struct, frozen=True):
    """The model takes no images."""


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


class Standing(msgspec.Struct, frozen=True):
    """One limit and what is used and held of it; `limit` -1 where there is none, `reset_ms` until it is whole again."""

    kind: str
    scope: str
    limit: int
    used: int
    held: int
    reset_ms: int


Refused = BadKey | NotReady | Suspended | UnknownModel | NoImages | Duplicate | OverBudget | OverRate | TooLarge


def read_reserve(reply: Reply) -> Admitted | Refused:
    """What `reserve` answered."""
    if reply[0] != b"ok":
        return read_refusal(reply)
    texts, numbers = cast("Sequence[bytes]", reply), cast("Sequence[int]", reply)
    limited = len(reply) > _UNLIMITED
    return Admitted(
        texts[1].decode(),
        texts[2].decode(),
        texts[3].decode(),
        texts[4],
        texts[5].decode(),
        numbers[6],
        numbers[7],
        Rate(*numbers[8:11]) if limited else NO_RATE,
        Rate(*numbers[11:14]) if limited else NO_RATE,
    )


def read_limits(reply: Reply) -> tuple[str, tuple[Standing, ...]] | Refused:
    """What `limits` answered: the month, and each limit."""
    if reply[0] != b"ok":
        return read_refusal(reply)
    parts = [text(part) for part in reply[3:]]
    rows = (parts[start : start + _STANDING] for start in range(0, len(parts), _STANDING))
    standings = (Standing(kind, scope, *map(int, numbers)) for kind, scope, *numbers in rows)
    return text(reply[1]), tuple(standings)


def entry_of(reply: Reply) -> str:
    """The entry of the outbox that `settle` made, or that was there already; empty where it is not known."""
    return text(reply[_ENTRY]) if len(reply) > _ENTRY else ""


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
        case "images":
            return NoImages()
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

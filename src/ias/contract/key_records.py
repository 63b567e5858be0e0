"""What Redis keeps of API keys: the rules of one, many told of at once, and counting what some use of a month."""

from collections.abc import Mapping, Sequence
from typing import cast

import msgspec

from ias.contract.admission import Argument, Command, Reply, slot, text

KeyRow = tuple[str, str, str, str, str]
"""Fingerprint, state (below), the key's id, its holder's, and when it expires in Unix seconds; empty: never."""

ACTIVE, RULED, REVOKED = "active", "ruled", "revoked"
"""States of a key: one without rules, one with rules, one that is turned away."""

MOST = 100
"""Keys of one call: Redis is at it for half a millisecond or so, and admits nobody meanwhile."""

OF_KEY = "k:"
"""What begins the field of a month that has the tokens of a key with a cap."""

_encode = msgspec.msgpack.Encoder().encode


class Rules(msgspec.Struct, frozen=True):
    """What a key may do, where that is not all that its holder may.

    Attributes:
        models: the names of those that it may call; None is every one.
        monthly_tokens: its cap; None is none.
    """

    models: tuple[str, ...] | None = None
    monthly_tokens: int | None = None

    def fields(self) -> tuple[Argument, ...]:
        """The fields of its record that say so; none where there is no rule. They follow the arguments of `grant`."""
        cap: tuple[Argument, ...] = () if self.monthly_tokens is None else ("cap", self.monthly_tokens)
        if self.models is None:
            return cap
        return (*cap, "m", 1, *(part for name in self.models for part in (f"m:{name}", 1)))


NO_RULES = Rules()


class Begun(msgspec.Struct, frozen=True):
    """From when on keys are counted: the month, its fence, the outbox's last entry by then, and each one's tokens."""

    period: str
    fence: str
    last: bytes
    counted: tuple[int, ...]


def of_key(key_id: str) -> str:
    """The field of a month that has the tokens of a key with a cap."""
    return f"{OF_KEY}{key_id}"


def held_by_key(key_id: str) -> str:
    """The field of a month that has what is held for a key with a cap."""
    return f"h:{key_id}"


def grants(tag: str, version: int, keys: Sequence[KeyRow], rules: Mapping[str, Rules] | None = None) -> Command:
    """Let keys in, or turn revoked ones away, each unless something newer is known of it.

    `rules` are those of the ruled ones, by fingerprint.
    """
    told = (_encode([part for key in keys for part in key]),)
    more = (_encode({fingerprint: each.fields() for fingerprint, each in rules.items()}),) if rules else ()
    return ("FCALL", "ias_grants", 1, slot(tag), version, *told, *more)


def count(tag: str, keys: Sequence[tuple[str, str]]) -> Command:
    """Count from now on what these keys, fingerprint and id of each, use of this month."""
    return ("FCALL", "ias_count", 1, slot(tag), *(part for key in keys for part in key))


def read_count(reply: object) -> Begun | None:
    """The answer to `count`; None where the month is yet to be restored, which counts them too."""
    if not reply:
        return None
    period, fence, last, *counted = cast("Reply", reply)
    return Begun(text(period), text(fence), cast("bytes", last), tuple(int(text(tokens)) for tokens in counted))

"""A gateway's sign of life: what each process of a gateway says of itself every second, in one hash of Redis.

All of it, and what gateways are asked to try (`trials`), lies under one tag that no organisation has: theirs are eight
characters long. So it is on one shard, and the gateway needs no right that it does not have already.
"""

from collections.abc import Mapping
from typing import cast

import msgspec

from ias.contract.admission import Command

TAG = "gateway"
PREFIX = f"{{o:{TAG}}}:"
KEY = f"{PREFIX}beats"
EVERY_S = 1.0
SILENT_S = 15.0
"""Whoever has said nothing for so long is no longer reckoned with: a clock may be wrong by some seconds."""
FORGOTTEN_S = 600.0
"""So long it is told that somebody fell silent."""

SERVES = "serves"
DRAINS = "drains"
STOPPED = "stopped"


class Beat(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a gateway at one moment. Times are Unix seconds by its own clock.

    Attributes:
        name: as reservations and ledger lines name it.
        state: `serves`, `drains` or, as its last word, `stopped`.
        release: the version of the package.
        library: the version of the Function library that it calls.
        open: requests under way.
        unsettled: settlements that Redis has not confirmed.
        spooled: those of them that are in its spool file.
    """

    name: str
    state: str
    release: str
    library: str
    started_at: float
    at: float
    open: int = 0
    unsettled: int = 0
    spooled: int = 0

    def silent_s(self, now: float) -> float:
        """For how long it has said nothing."""
        return max(0.0, now - self.at)

    def lives(self, now: float) -> bool:
        """Whether it runs, as far as is known."""
        return self.state != STOPPED and self.silent_s(now) < SILENT_S


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Beat).decode

BEATS: Command = ("HGETALL", KEY)


def beat(said: Beat) -> Command:
    """Say it; what the same process said before is replaced."""
    return ("HSET", KEY, said.name, _encode(said))


def forget(names: list[str]) -> Command:
    """Drop what these said."""
    return ("HDEL", KEY, *names)


def read_beats(reply: object) -> list[Beat]:
    """What each said last, by name; what another release wrote and this one cannot read is left out."""
    found = []
    for value in _values(reply):
        try:
            found.append(_decode(value))
        except msgspec.MsgspecError:
            continue
    return sorted(found, key=lambda each: each.name)


def _values(reply: object) -> list[bytes]:
    """The values of a hash: clients give it as a map, or flat."""
    if isinstance(reply, Mapping):
        return list(cast("Mapping[bytes, bytes]", reply).values())
    return cast("list[bytes]", reply)[1::2]

"""Calls of the Function library by which Redis's counts are compared with the ledger and with what is under way.

A field is `used`, all of an organisation's tokens in a month, `u:<user>`, one member's, or `k:<key>`, a key's that has
a cap, or had one. Months are YYYYMM in UTC.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import msgspec

from ias.contract.admission import Argument, Command, Reply, slot, text
from ias.contract.key_records import OF_KEY

USED = "used"
_OF_USER = "u:"
_COUNTED = (_OF_USER, OF_KEY)
_MONTH = 3
"""Parts of the answer that tell of one month."""
_HEAD = 2
_CORRECTION = 4


class Month(msgspec.Struct, frozen=True):
    """Tokens counted in a month by field. `fence` changes whenever counting begins anew."""

    period: str
    fence: str
    counted: dict[str, int]


class Counted(msgspec.Struct, frozen=True):
    """What Redis counts of an organisation at one moment: this month, the last, and the outbox's last entry by then.

    `complete` is whether the projection is; `last` is empty where the outbox is.
    """

    complete: bool
    last: bytes
    months: tuple[Month, ...]


class Correction(msgspec.Struct, frozen=True):
    """A count of held tokens, or of requests under way (`where` is `live`), that was not what reservations say."""

    where: str
    field: str
    was: int
    now: int


class Vitals(msgspec.Struct, frozen=True):
    """How an organisation stands at one moment of Redis's clock. Times are Unix seconds, None where there is nothing.

    Attributes:
        oldest_s: the outbox's oldest entry.
        unrelayed_s: the oldest that no relay has handed on.
        lapsed_s: when the oldest lease that has lapsed did.
        lease_s: when the newest lease will lapse.
        gateway: who holds that one, empty where nobody is known to.
    """

    complete: bool
    outbox: int
    live: int
    lapsed: int
    now_s: float
    oldest_s: float | None
    unrelayed_s: float | None
    lapsed_s: float | None
    lease_s: float | None
    gateway: str


def of_user(user: str) -> str:
    """The field of a member's tokens."""
    return f"{_OF_USER}{user}"


def books(tag: str) -> Command:
    """What is counted this month and the last."""
    return ("FCALL_RO", "ias_books", 1, slot(tag))


def read_books(reply: object) -> Counted:
    """The answer to `books`."""
    complete, last, *rest = cast("Reply", reply)
    months = [rest[at : at + _MONTH] for at in range(0, len(rest), _MONTH)]
    return Counted(
        complete == b"1",
        cast("bytes", last),
        tuple(Month(text(period), text(fence), _counts(cast("Reply", flat))) for period, fence, flat in months),
    )


def repair(tag: str, month: Month, differences: Mapping[str, int]) -> Command:
    """Add differences to what a month counts, unless counting began anew since `month` was read."""
    flat: list[Argument] = [part for pair in differences.items() for part in pair]
    return ("FCALL", "ias_repair", 1, slot(tag), month.period, month.fence, *flat)


def recount(tag: str) -> Command:
    """Make what is held what the live reservations say."""
    return ("FCALL", "ias_recount", 1, slot(tag))


def read_recount(reply: object) -> list[Correction]:
    """The answer to `recount`: what was not right."""
    parts = [text(part) for part in cast("Reply", reply)]
    rows = [parts[at : at + _CORRECTION] for at in range(0, len(parts), _CORRECTION)]
    return [Correction(where, field, int(was), int(now)) for where, field, was, now in rows]


def vitals(tag: str, group: str) -> Command:
    """How an organisation stands; `group` is the one that relays its outbox."""
    return ("FCALL_RO", "ias_vitals", 1, slot(tag), group)


def read_vitals(reply: object) -> Vitals:
    """The answer to `vitals`."""
    complete, now_s, outbox, oldest, unrelayed, live, lapsed, first, last, gateway = cast("Reply", reply)
    lapses = cast("int", lapsed)
    return Vitals(
        complete=complete == b"1",
        outbox=cast("int", outbox),
        live=cast("int", live),
        lapsed=lapses,
        now_s=float(text(now_s)),
        oldest_s=_entry_s(oldest),
        unrelayed_s=_entry_s(unrelayed),
        lapsed_s=float(text(first)) if lapses else None,
        lease_s=float(text(last)) if last else None,
        gateway=text(gateway),
    )


def _counts(flat: Sequence[object]) -> dict[str, int]:
    pairs = zip(map(text, flat[::2]), map(text, flat[1::2]), strict=True)
    return {field: int(value) for field, value in pairs if field == USED or field.startswith(_COUNTED)}


def _entry_s(entry: object) -> float | None:
    """When a stream's entry was added: its id begins with Unix milliseconds."""
    said = text(entry)
    return int(said.partition("-")[0]) / 1000 if said else None

"""The arithmetic of the check: what waits to be booked, what may be, and what differs from what Redis counts.

Exact under load, because of the order of reading: a snapshot of the ledger first, then Redis's counts and its outbox's
last entry in one call. Whatever is counted by then is in the snapshot, or in the outbox up to that entry: nobody
deletes entries meanwhile, for the check holds the janitor's lock.
"""

from collections.abc import Container, Mapping
from uuid import UUID

import msgspec

from ias.contract.books import USED, of_user
from ias.contract.key_records import OF_KEY, of_key

Place = tuple[UUID, int]
"""Request and line."""
Fields = dict[str, int]
"""Tokens by field: `used`, `u:<user>` of each member and `k:<key>` of each key."""
Months = dict[str, Fields]


class Waiting(msgspec.Struct, frozen=True):
    """A settlement that may not be booked yet. `place` is None where it cannot be told: then it never will be."""

    place: Place | None
    period: str
    user: str
    tokens: int
    key: str = ""


class SetAside(msgspec.Struct, frozen=True):
    """A settlement in quarantine, of the organisation with this id or tag."""

    owner: str
    waiting: Waiting


class _Facts(msgspec.Struct):
    user: str = ""
    key: str = ""


class _Event(msgspec.Struct):
    """What any release says of a settlement."""

    request_id: UUID
    line: int
    period: str
    organisation: UUID
    user: UUID
    prompt_tokens: int
    completion_tokens: int
    key: str = ""


class _Entry(msgspec.Struct):
    """An outbox entry that no event could be made of, as the relay sets it aside."""

    outbox: str
    fields: dict[str, str]


_FACTS = msgspec.json.Decoder(_Facts)
_EVENT = msgspec.json.Decoder(_Event)
_ENTRY = msgspec.json.Decoder(_Entry)
_ITEMS = msgspec.json.Decoder(list[msgspec.Raw])


class Total(msgspec.Struct):
    """All that an organisation used since the month `since`."""

    since: str
    requests: int = 0
    tokens: int = 0

    def add(self, one: Waiting) -> None:
        """Add a settlement, where it is not of an earlier month."""
        if one.period < self.since:
            return
        self.requests += int(one.place is not None and one.place[1] == 1)
        self.tokens += one.tokens


def waiting(fields: Mapping[bytes, bytes]) -> Waiting | None:
    """What an outbox entry adds to the counts; None where it is none that the Function library wrote."""
    try:
        period, tokens = fields[b"p"].decode(), int(fields[b"pt"]) + int(fields[b"ct"])
    except (KeyError, ValueError):
        return None
    facts = _facts(fields)
    return Waiting(_place(fields), period, facts.user, tokens, facts.key)


def set_aside(body: bytes) -> list[SetAside]:
    """What a body in quarantine may have added to the counts; what cannot be told is left out."""
    try:
        entry = _ENTRY.decode(body)
    except msgspec.MsgspecError:
        events = filter(None, map(_event, _items(body)))
        return [
            SetAside(
                str(event.organisation),
                Waiting(
                    (event.request_id, event.line),
                    event.period,
                    str(event.user),
                    event.prompt_tokens + event.completion_tokens,
                    event.key,
                ),
            )
            for event in events
        ]
    found = waiting({name.encode(): value.encode() for name, value in entry.fields.items()})
    return [] if found is None else [SetAside(entry.outbox, found)]


def add(months: Months, one: Waiting) -> None:
    """Add a settlement to sums by month and field."""
    fields = months.setdefault(one.period, {})
    for field in (USED, of_user(one.user), of_key(one.key)):
        fields[field] = fields.get(field, 0) + one.tokens


def counted(fields: Mapping[str, int], caps: Container[str]) -> Fields:
    """The same without the keys that have no cap: what was counted of those once, nobody keeps right."""
    return {
        field: tokens
        for field, tokens in fields.items()
        if not field.startswith(OF_KEY) or field.removeprefix(OF_KEY) in caps
    }


def together(*some: Fields) -> Fields:
    """Sums of sums."""
    fields: Fields = {}
    for one in some:
        for field, tokens in one.items():
            fields[field] = fields.get(field, 0) + tokens
    return fields


def differences(counted: Fields, booked: Fields, aside: Fields) -> Fields:
    """What is to be added to each field of what Redis counts so that it is right; empty where all is.

    Redis must count what is booked and what waits to be. What is set aside may be counted or not: it was used, perhaps,
    and is in no ledger before it is replayed.
    """
    wrong = {}
    for field in sorted({*counted, *booked, *aside}):
        least, have = booked.get(field, 0), counted.get(field, 0)
        most = least + max(0, aside.get(field, 0))
        right = min(max(have, least), most)
        if right != have:
            wrong[field] = right - have
    return wrong


def size(wrong: Fields) -> int:
    """How many tokens a month's differences are: of all of it, of its members or of keys, whichever is most."""
    sums = {USED: 0, "u": 0, "k": 0}
    for field, tokens in wrong.items():
        sums[field.partition(":")[0]] += abs(tokens)
    return max(sums.values())


def lasting(wrong: Fields, before: Mapping[str, int]) -> Fields:
    """Those differences that were just the same the time before."""
    return {field: tokens for field, tokens in wrong.items() if before.get(field) == tokens}


def _place(fields: Mapping[bytes, bytes]) -> Place | None:
    try:
        return UUID(fields[b"r"].decode()), int(fields[b"l"])
    except (KeyError, ValueError):
        return None


def _facts(fields: Mapping[bytes, bytes]) -> _Facts:
    try:
        return _FACTS.decode(fields[b"f"])
    except (KeyError, msgspec.MsgspecError):
        return _Facts()


def _items(body: bytes) -> list[bytes]:
    try:
        return [bytes(item) for item in _ITEMS.decode(body)]
    except msgspec.MsgspecError:
        return [body]


def _event(item: bytes) -> _Event | None:
    try:
        return _EVENT.decode(item)
    except msgspec.MsgspecError:
        return None

"""A request as people see it, and what a list of them can be narrowed to."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from ias.analytics.usage.sketch import rate
from ias.contract.usage import Outcome
from ias.problems import BadFilter, FieldError

WITHIN: Final = timedelta(days=30)
"""How far back a list goes where nothing is said."""
_TICK = timedelta(microseconds=1)


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests: all that are given must hold.

    Attributes:
        errors: only those that the platform did not bring to an end, or that were answered with 400 and above.
        slower_than_ms: only those that took so long, or longer.
        since: only those that started then or later.
        until: only those that started before.
    """

    org_id: UUID | None = None
    model: str | None = None
    user_id: UUID | None = None
    key_id: UUID | None = None
    outcome: Outcome | None = None
    status: int | None = None
    errors: bool = False
    slower_than_ms: float | None = None
    since: datetime
    until: datetime


class Request(msgspec.Struct, kw_only=True):
    """What is known of one request.

    Attributes:
        outcome: how it ended, as far as accounting is concerned.
        status: the HTTP status that the engine answered, 0 where none did.
        prompt_tokens: with later adjustments, as the other tokens are.
        cached_tokens: those prompt tokens that the engine had in its prefix cache.
        estimated: whether tokens were counted by the gateway, since the engine said nothing.
        lower_bound: whether tokens come from the last checkpoint of a gateway that was lost.
        queue_ms: from the request's arrival to its dispatch; null where it is not known.
        first_token_ms: from the request's arrival to the first token, or to the answer where it is no stream.
        duration_ms: from the request's arrival to the end of its answer.
        tokens_per_second: of a stream, after its first token.
        gateway: which gateway served it; for system admins.
        replica: which engine answered; for system admins.
    """

    request_id: UUID
    org_id: UUID
    user_id: UUID
    key_id: UUID
    model: str
    endpoint: str
    streamed: bool
    outcome: Outcome
    status: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    total_tokens: int
    estimated: bool
    lower_bound: bool
    queue_ms: float | None
    first_token_ms: float | None
    duration_ms: float | None
    tokens_per_second: float | None
    started_at: datetime
    settled_at: datetime
    gateway: str | UnsetType = UNSET
    replica: str | UnsetType = UNSET


OPERATORS_OWN: Final = ("gateway", "replica")
"""What only who runs the platform is told."""


class RequestPage(msgspec.Struct, kw_only=True):
    """Requests, newest first. `data_as_of` is when one was last taken in; `next_cursor` is null on the last page."""

    items: list[Request]
    next_cursor: str | None
    data_as_of: datetime | None


def filters(chosen: Mapping[str, object], since: datetime | None, until: datetime | None, moment: datetime) -> Filters:
    """Which requests are asked for: those of the last thirty days where nothing is said of time.

    Raises:
        BadFilter: `until` does not come after `since`, or a time has no offset.
    """
    for name, said in (("from", since), ("to", until)):
        if said is not None and said.tzinfo is None:
            raise _bad(name, "write an offset from UTC, such as 2026-01-31T00:00:00Z")
    try:
        last = (moment + _TICK if until is None else until).astimezone(UTC)
        first = (last - WITHIN if since is None else since).astimezone(UTC)
    except OverflowError:
        raise _bad("from", "and to must be times that a calendar has") from None
    if first >= last:
        raise _bad("to", "must come after from")
    return msgspec.convert({**chosen, "since": first, "until": last}, Filters)


def request(row: Mapping[str, object], *, whole: bool) -> Request:
    """A row as people see it; without `whole` not what only operators are told."""
    shown = {name: value for name, value in row.items() if whole or name not in OPERATORS_OWN}
    found = msgspec.convert({**shown, "total_tokens": 0, "tokens_per_second": None}, Request)
    found.total_tokens = found.prompt_tokens + found.completion_tokens
    if found.streamed:
        speed = rate(found.completion_tokens, found.first_token_ms, found.duration_ms)
        found.tokens_per_second = None if speed is None else round(speed, 2)
    return found


def columns(*, whole: bool) -> Sequence[str]:
    """What a table of requests has."""
    return [name for name in Request.__struct_fields__ if whole or name not in OPERATORS_OWN]


def _bad(parameter: str, said: str) -> BadFilter:
    return BadFilter(f"{parameter}: {said}", (FieldError(UNSET, said, parameter=parameter),))

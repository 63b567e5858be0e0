"""The ledger's arithmetic: outbox entries become events, events are priced and summed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal, Inexact
from uuid import UUID

import msgspec

from ias.contract.sound import FIRST, is_month
from ias.contract.usage import Outcome, UsageRecorded, decode_facts

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
EXACT = Context(prec=60, traps=[Inexact])
"""Arithmetic of money: wide enough for any line and any sum of lines; what would have to be rounded raises instead."""
_OUTCOMES = {outcome.value.encode(): outcome for outcome in Outcome}


class _Ids(msgspec.Struct, gc=False):
    """The ids among the gateway's facts: to read them here takes an eighth of the time that `UUID` does."""

    organisation: UUID
    user: UUID
    key: UUID
    model_id: UUID


_decode_ids = msgspec.json.Decoder(_Ids).decode
_decode_id = msgspec.json.Decoder(UUID).decode


class BadEntry(ValueError):
    """An outbox entry that no event can be made of."""


class Rate(msgspec.Struct, frozen=True):
    """Money per 1,000 tokens, for requests that started at `valid_from` or later."""

    id: UUID
    valid_from: datetime
    input: Decimal
    output: Decimal
    cached_input: Decimal


FREE = Rate(UUID(int=0), FIRST, Decimal(0), Decimal(0), Decimal(0))


class Account(msgspec.Struct, frozen=True, order=True):
    """What spend is summed by; `period` is a month, YYYYMM."""

    period: str
    organisation: UUID
    user: UUID
    key: UUID
    model: str


class Sum(msgspec.Struct):
    """What an account has used, money exact, and when the last of it was admitted."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost: Decimal = Decimal(0)
    last_used_at: datetime = FIRST


def event_of(fields: Mapping[bytes, bytes], settled_ms: int) -> UsageRecorded:
    """The event that an outbox entry tells of (`XADD` in the Function library's `settle`), added at `settled_ms`.

    Raises:
        BadEntry: something is missing or is not what it should be.
    """
    try:
        facts, ids = decode_facts(fields[b"f"]), _decode_ids(fields[b"f"])
        return UsageRecorded(
            request_id=_decode_id(b'"%b"' % fields[b"r"]),
            line=int(fields[b"l"]),
            period=fields[b"p"].decode(),
            organisation=ids.organisation,
            user=ids.user,
            key=ids.key,
            model=facts.model,
            model_id=ids.model_id,
            endpoint=facts.endpoint,
            prompt_tokens=int(fields[b"pt"]),
            completion_tokens=int(fields[b"ct"]),
            cached_tokens=int(fields[b"ca"]),
            outcome=_OUTCOMES.get(fields[b"o"]) or Outcome(fields[b"o"].decode()),
            estimated=fields[b"e"] == b"1",
            lower_bound=fields[b"b"] == b"1",
            started_at=_started_at(fields, facts.started_at),
            settled_at=datetime.fromtimestamp(settled_ms / 1000, UTC),
            streamed=facts.streamed,
            status=facts.status,
            gateway=facts.gateway,
            replica=facts.replica,
            duration_ms=facts.duration_ms,
            queue_ms=facts.queue_ms,
            first_token_ms=facts.first_token_ms,
            traceparent=facts.traceparent,
        )
    except KeyError as error:
        raise BadEntry(f"field {error} is missing") from None
    except (ValueError, OverflowError, OSError, msgspec.MsgspecError) as error:
        raise BadEntry(str(error)) from None


def _started_at(fields: Mapping[bytes, bytes], said: float) -> datetime:
    """When Redis admitted the request: the clock that fixed the month, and the same for all lines of a request.

    Where Redis lost the reservation it is what the gateway said, kept within the month.
    """
    admitted_us = int(fields.get(b"t", b"0"))
    if admitted_us:
        return _EPOCH + timedelta(microseconds=admitted_us)
    moment, period = datetime.fromtimestamp(said, UTC), fields[b"p"].decode()
    if not is_month(period):
        return moment
    start = datetime(int(period[:4]), int(period[4:]), 1, tzinfo=UTC)
    end = (start + timedelta(days=32)).replace(day=1)
    return min(max(moment, start), end - _TICK)


def rate_at(rates: Sequence[Rate], started_at: datetime) -> Rate | None:
    """The rate that was valid then; the first one where the request is older than all, None where there is none."""
    if len(rates) == 1:
        return rates[0]
    ordered = sorted(rates, key=lambda rate: rate.valid_from)
    earlier = [rate for rate in ordered if rate.valid_from <= started_at]
    return earlier[-1] if earlier else next(iter(ordered), None)


def cost_of(event: UsageRecorded, rate: Rate) -> Decimal:
    """Money, exact: (input tokens x input rate + output tokens x output rate) / 1000, cached input at its own rate."""
    fresh = EXACT.multiply(event.prompt_tokens - event.cached_tokens, rate.input)
    cached = EXACT.multiply(event.cached_tokens, rate.cached_input)
    output = EXACT.multiply(event.completion_tokens, rate.output)
    return EXACT.scaleb(EXACT.add(EXACT.add(fresh, cached), output), -3)


def sums(priced: Iterable[tuple[UsageRecorded, Decimal]]) -> list[tuple[Account, Sum]]:
    """What events add to each account, in the accounts' order: writers never wait in a circle."""
    # By the numbers of the ids: hashing and comparing a UUID is slow, and this runs for every event.
    totals: dict[tuple[str, int, int, int, str], tuple[Account, Sum]] = {}
    for event, cost in priced:
        place = (event.period, event.organisation.int, event.user.int, event.key.int, event.model)
        entry = totals.get(place)
        if entry is None:
            account = Account(event.period, event.organisation, event.user, event.key, event.model)
            entry = totals[place] = (account, Sum())
        total = entry[1]
        total.requests += event.line == 1
        total.prompt_tokens += event.prompt_tokens
        total.completion_tokens += event.completion_tokens
        total.cached_tokens += event.cached_tokens
        total.cost = EXACT.add(total.cost, cost)
        total.last_used_at = max(total.last_used_at, event.started_at)
    return [totals[place] for place in sorted(totals)]

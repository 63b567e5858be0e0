"""The ledger's arithmetic: outbox entries become events, events are checked, priced and summed."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec

from ias.contract.usage import Outcome, UsageRecorded, decode_facts

_PERIOD = re.compile(r"20[0-9]{2}(0[1-9]|1[0-2])")
_FIRST = datetime(2020, 1, 1, tzinfo=UTC)
MOST_TOKENS = 2**53 - 1
_ENCODER = msgspec.json.Encoder()


class BadEntry(ValueError):
    """An outbox entry that no event can be made of."""


class Rate(msgspec.Struct, frozen=True):
    """Money per 1,000 tokens, for requests that started at `valid_from` or later."""

    id: UUID
    valid_from: datetime
    input: Decimal
    output: Decimal
    cached_input: Decimal


FREE = Rate(UUID(int=0), _FIRST, Decimal(0), Decimal(0), Decimal(0))


class Account(msgspec.Struct, frozen=True, order=True):
    """What spend is summed by; `period` is a month, YYYYMM."""

    period: str
    organisation: UUID
    user: UUID
    key: UUID
    model: str


class Sum(msgspec.Struct):
    """What an account has used; money exact."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost: Decimal = Decimal(0)


def event_of(fields: Mapping[bytes, bytes], settled_ms: int) -> UsageRecorded:
    """The event that an outbox entry tells of (`XADD` in the Function library's `settle`), added at `settled_ms`.

    Raises:
        BadEntry: something is missing or is not what it should be.
    """
    try:
        facts = decode_facts(fields[b"f"])
        return UsageRecorded(
            request_id=UUID(fields[b"r"].decode()),
            line=int(fields[b"l"]),
            period=fields[b"p"].decode(),
            organisation=UUID(facts.organisation),
            user=UUID(facts.user),
            key=UUID(facts.key),
            model=facts.model,
            model_id=UUID(facts.model_id),
            endpoint=facts.endpoint,
            prompt_tokens=int(fields[b"pt"]),
            completion_tokens=int(fields[b"ct"]),
            cached_tokens=int(fields[b"ca"]),
            outcome=Outcome(fields[b"o"].decode()),
            estimated=fields[b"e"] == b"1",
            lower_bound=fields[b"b"] == b"1",
            started_at=datetime.fromtimestamp(facts.started_at, UTC),
            settled_at=datetime.fromtimestamp(settled_ms / 1000, UTC),
            streamed=facts.streamed,
            status=facts.status,
            gateway=facts.gateway,
            replica=facts.replica,
            duration_ms=facts.duration_ms,
            queue_ms=facts.queue_ms,
            first_token_ms=facts.first_token_ms,
        )
    except KeyError as error:
        raise BadEntry(f"field {error} is missing") from None
    except (ValueError, OverflowError, OSError, msgspec.MsgspecError) as error:
        raise BadEntry(str(error)) from None


def fault_in(event: UsageRecorded) -> str | None:
    """Why an event cannot be booked, None where it can."""
    tokens = (event.prompt_tokens, event.completion_tokens, event.cached_tokens)
    faults = (
        (event.line < 1, "line numbers begin with 1"),
        (_PERIOD.fullmatch(event.period) is None, "period is not a month, YYYYMM"),
        (event.line == 1 and min(tokens) < 0, "line 1 has negative tokens"),
        (max(map(abs, tokens)) > MOST_TOKENS, "more tokens than can be counted"),
        (event.line == 1 and event.cached_tokens > event.prompt_tokens, "more cached tokens than prompt tokens"),
        (event.started_at < _FIRST, "started before there was anything to start"),
        ("\0" in event.model + event.endpoint + event.gateway + event.replica, "text with a NUL character"),
    )
    return next((said for wrong, said in faults if wrong), None)


def fingerprint(event: UsageRecorded) -> bytes:
    """SHA-256 of the event in its one spelling: the same request and line must always have the same."""
    return hashlib.sha256(_ENCODER.encode(event)).digest()


def rate_at(rates: Sequence[Rate], started_at: datetime) -> Rate | None:
    """The rate that was valid then; the first one where the request is older than all, None where there is none."""
    ordered = sorted(rates, key=lambda rate: rate.valid_from)
    earlier = [rate for rate in ordered if rate.valid_from <= started_at]
    return earlier[-1] if earlier else next(iter(ordered), None)


def cost_of(event: UsageRecorded, rate: Rate) -> Decimal:
    """Money, exact: (input tokens x input rate + output tokens x output rate) / 1000, cached input at its own rate."""
    fresh = event.prompt_tokens - event.cached_tokens
    total = fresh * rate.input + event.cached_tokens * rate.cached_input + event.completion_tokens * rate.output
    return total.scaleb(-3)


def sums(priced: Iterable[tuple[UsageRecorded, Decimal]]) -> list[tuple[Account, Sum]]:
    """What events add to each account, in the accounts' order: writers never wait in a circle."""
    totals: dict[Account, Sum] = {}
    for event, cost in priced:
        account = Account(event.period, event.organisation, event.user, event.key, event.model)
        total = totals.setdefault(account, Sum())
        total.requests += event.line == 1
        total.prompt_tokens += event.prompt_tokens
        total.completion_tokens += event.completion_tokens
        total.cached_tokens += event.cached_tokens
        total.cost += cost
    return sorted(totals.items())

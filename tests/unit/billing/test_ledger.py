"""The ledger's arithmetic."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.billing.ledger.domain import (
    FREE,
    Account,
    BadEntry,
    Rate,
    Sum,
    cost_of,
    event_of,
    rate_at,
    sums,
)
from ias.contract.usage import Facts, Outcome, encode_facts
from tests.unit.events import MOMENT, an_event

SETTLED_MS = int((MOMENT + timedelta(seconds=1)).timestamp() * 1000)
RATE = Rate(UUID(int=9), MOMENT, Decimal("0.5"), Decimal("1.5"), Decimal("0.1"))


def an_entry(**changes: bytes) -> dict[bytes, bytes]:
    facts = Facts(
        organisation=str(UUID(int=2)),
        user=str(UUID(int=3)),
        key=str(UUID(int=4)),
        model="mock-gpt",
        model_id=str(UUID(int=5)),
        endpoint="chat",
        started_at=MOMENT.timestamp(),
        streamed=True,
        status=200,
        first_token_ms=12.5,
    )
    fields = {"r": str(UUID(int=1)).encode(), "l": b"1", "p": b"202601", "pt": b"100", "ct": b"10", "ca": b"60"}
    fields |= {"o": b"completed", "e": b"0", "b": b"1", "f": encode_facts(facts)}
    return {name.encode(): value for name, value in (fields | changes).items()}


def test_an_outbox_entry_becomes_the_event_it_tells_of() -> None:
    event = event_of(an_entry(), SETTLED_MS)

    assert event == an_event(lower_bound=True, streamed=True, status=200, first_token_ms=12.5)


@pytest.mark.parametrize(
    "changes",
    [
        {"r": b"not an id"},
        {"l": b"one"},
        {"pt": b""},
        {"o": b"exploded"},
        {"f": b"{"},
        {"f": b'{"organisation": "x"}'},
        {"p": b"\xff"},
    ],
)
def test_an_entry_that_tells_nonsense_is_told_apart(changes: dict[str, bytes]) -> None:
    with pytest.raises(BadEntry):
        event_of(an_entry(**changes), SETTLED_MS)


@pytest.mark.parametrize("name", [b"r", b"l", b"p", b"pt", b"ct", b"ca", b"o", b"e", b"b", b"f"])
def test_an_entry_with_a_field_missing_names_it(name: bytes) -> None:
    entry = an_entry()
    del entry[name]

    with pytest.raises(BadEntry, match="is missing"):
        event_of(entry, SETTLED_MS)


def test_a_request_started_when_redis_admitted_it_whatever_its_gateways_clock_says() -> None:
    admitted = datetime(2026, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    micros = (admitted - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    assert event_of(an_entry(t=b"%d" % micros), SETTLED_MS).started_at == admitted


@pytest.mark.parametrize(
    ("period", "started_at"),
    [
        (b"202601", MOMENT),
        (b"202512", datetime(2025, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)),
        (b"202602", datetime(2026, 2, 1, tzinfo=UTC)),
        (b"2026", MOMENT),
    ],
)
def test_where_redis_lost_the_reservation_the_gateways_word_is_kept_within_the_month(
    period: bytes, started_at: datetime
) -> None:
    assert event_of(an_entry(p=period, t=b"0"), SETTLED_MS).started_at == started_at


def test_what_a_sweeper_knows_is_enough_for_an_event() -> None:
    facts = b'{"organisation":"%b","user":"%b","key":"%b","model":"m","model_id":"%b"'
    facts += b',"endpoint":"chat","started_at":1767225600.5}'
    ids = [str(UUID(int=n)).encode() for n in range(2, 6)]

    event = event_of(an_entry(f=facts % tuple(ids), o=b"gateway_lost"), SETTLED_MS)

    assert (event.outcome, event.status, event.gateway) == (Outcome.GATEWAY_LOST, 0, "")


def test_the_cost_is_the_constitutions_formula_with_cached_input_at_its_own_rate() -> None:
    assert cost_of(an_event(), RATE) == Decimal("0.041")
    assert cost_of(an_event(), FREE) == 0


@given(
    parts=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6)), max_size=5),
    rates=st.tuples(*[st.decimals(0, 1000, places=10)] * 3),
)
def test_adjustments_cost_exactly_the_difference(
    parts: list[tuple[int, int, int]], rates: tuple[Decimal, Decimal, Decimal]
) -> None:
    rate = Rate(UUID(int=9), MOMENT, *rates)
    lines = [an_event(prompt_tokens=p + c, completion_tokens=o, cached_tokens=c) for p, o, c in parts]
    whole = an_event(
        prompt_tokens=sum(line.prompt_tokens for line in lines),
        completion_tokens=sum(line.completion_tokens for line in lines),
        cached_tokens=sum(line.cached_tokens for line in lines),
    )

    assert sum((cost_of(line, rate) for line in lines), Decimal(0)) == cost_of(whole, rate)


def test_the_rate_is_the_one_that_was_valid_when_the_request_started() -> None:
    older = Rate(UUID(int=8), MOMENT - timedelta(days=1), Decimal(1), Decimal(1), Decimal(1))

    assert rate_at([RATE, older], MOMENT) is RATE
    assert rate_at([RATE, older], MOMENT - timedelta(seconds=1)) is older
    assert rate_at([RATE, older], MOMENT - timedelta(days=9)) is older
    assert rate_at([], MOMENT) is None


def test_sums_are_by_account_in_the_accounts_order() -> None:
    events = [
        an_event(model="z", prompt_tokens=1, completion_tokens=2, cached_tokens=0),
        an_event(model="a", prompt_tokens=3, completion_tokens=4, cached_tokens=1),
        an_event(model="z", line=2, prompt_tokens=-1, completion_tokens=5, cached_tokens=0),
    ]

    totals = sums((event, Decimal(1)) for event in events)

    who = ("202601", UUID(int=2), UUID(int=3), UUID(int=4))
    assert totals == [
        (Account(*who, "a"), Sum(1, 3, 4, 1, Decimal(1), MOMENT)),
        (Account(*who, "z"), Sum(1, 0, 7, 0, Decimal(2), MOMENT)),
    ]

"""Which requests can be asked for, how one is told, and where a list goes on."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.analytics.requests.asking import RequestView
from ias.analytics.requests.domain import WITHIN, columns, filters, request
from ias.analytics.requests.positions import decode_position, encode_position
from ias.contract.usage import Outcome
from ias.paging import BadCursor
from ias.problems import BadFilter

MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def a_row(**changes: object) -> dict[str, object]:
    ids = {name: UUID(int=n) for n, name in enumerate(("request_id", "org_id", "user_id", "key_id"), start=1)}
    tokens = {"prompt_tokens": 100, "completion_tokens": 11, "cached_tokens": 60}
    told = {"model": "m", "endpoint": "chat", "outcome": "completed", "status": 200, "gateway": "g", "replica": "r"}
    flags = {"streamed": True, "estimated": False, "lower_bound": False}
    times = {
        "queue_ms": None,
        "first_token_ms": 500.0,
        "duration_ms": 1500.0,
        "started_at": MOMENT,
        "settled_at": MOMENT,
    }
    return {**ids, **tokens, **told, **flags, **times, **changes}


@pytest.mark.parametrize(
    ("period", "since"),
    [
        ("1h", "2026-01-31T11:00"),
        ("30d", "2026-01-01T12:00"),
        ("month", "2026-01-01T00:00"),
        ("last-month", "2025-12-01T00:00"),
    ],
)
def test_requests_are_looked_at_through_the_same_periods_as_usage(period: str, since: str) -> None:
    asked = msgspec.convert({"period": period}, RequestView).filters(None, MOMENT)
    assert f"{asked.since:%Y-%m-%dT%H:%M}" == since
    assert (asked.until == MOMENT.replace(day=1, hour=0)) == (period == "last-month")


def test_where_no_time_is_said_it_is_thirty_days_up_to_now() -> None:
    asked = filters({"model": "m"}, None, None, MOMENT)

    assert asked.since < MOMENT < asked.until
    assert asked.until - asked.since == WITHIN


def test_what_is_said_is_what_is_asked_for() -> None:
    asked = filters({"errors": True, "outcome": Outcome.CUT}, MOMENT - timedelta(days=400), MOMENT, MOMENT)

    assert (asked.since, asked.until) == (MOMENT - timedelta(days=400), MOMENT)
    assert (asked.errors, asked.outcome, asked.model) == (True, Outcome.CUT, None)


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (MOMENT, MOMENT),
        (MOMENT, MOMENT - timedelta(days=1)),
        (MOMENT.replace(tzinfo=None), None),
        (None, MOMENT.replace(tzinfo=None)),
        (None, datetime.min.replace(tzinfo=UTC)),
        (datetime.min.replace(tzinfo=timezone(timedelta(hours=14))), None),
    ],
)
def test_times_that_make_no_sense_are_refused(since: datetime | None, until: datetime | None) -> None:
    with pytest.raises(BadFilter):
        filters({}, since, until, MOMENT)


def test_a_request_is_told_with_what_follows_from_its_row() -> None:
    told = request(a_row(), whole=True)

    assert (told.total_tokens, told.tokens_per_second, told.replica) == (111, 10.0, "r")
    assert request(a_row(streamed=False), whole=True).tokens_per_second is None
    assert request(a_row(duration_ms=3500.0), whole=True).tokens_per_second == 3.33


def test_what_only_operators_are_told_is_left_out_for_others() -> None:
    told = request(a_row(), whole=False)

    assert not isinstance(told.gateway, str)
    assert not isinstance(told.replica, str)
    assert set(columns(whole=True)) - set(columns(whole=False)) == {"gateway", "replica"}


@given(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)), st.uuids())  # noqa: DTZ001
def test_a_position_comes_back_as_it_was(moment: datetime, request_id: UUID) -> None:
    row = a_row(started_at=moment.astimezone(timezone(timedelta(hours=3))), request_id=request_id)
    cursor = encode_position(request(row, whole=False))

    assert decode_position(cursor) == (moment, request_id)


@pytest.mark.parametrize("cursor", ["", "AAAA", "%", "é", "f" * 32, "f" * 10_000])
def test_a_cursor_that_is_not_ours_is_refused(cursor: str) -> None:
    assert decode_position(None) is None
    with pytest.raises(BadCursor):
        decode_position(cursor)

"""What is taken on the command line."""

from datetime import UTC, datetime, timedelta, timezone

import click
import msgspec
import pytest

from ias.terminal.arguments import Unlimited, amount, body, changes, given, moment, moment_there, month


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    name: str | msgspec.UnsetType = msgspec.UNSET
    count: int | msgspec.UnsetType | None = msgspec.UNSET


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2026-01-31", datetime(2026, 1, 31, tzinfo=UTC)),
        ("2026-01-31T13:00", datetime(2026, 1, 31, 13, tzinfo=UTC)),
        ("2026-01-31T13:00:00Z", datetime(2026, 1, 31, 13, tzinfo=UTC)),
        ("2026-01-31T13:00:00+02:00", datetime(2026, 1, 31, 13, tzinfo=timezone(timedelta(hours=2)))),
    ],
)
def test_a_moment_is_in_utc_where_it_does_not_say(text: str, meant: datetime) -> None:
    assert moment(text) == meant


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "31.01.2026"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    for read in (moment, moment_there):
        with pytest.raises(click.BadParameter, match="write 2026-01-31"):
            read(text)


def test_a_moment_there_is_of_no_time_zone_where_it_does_not_say() -> None:
    assert moment_there("2026-01-31") == datetime(2026, 1, 31)  # noqa: DTZ001 - the API knows which
    assert moment_there("2026-01-31T13:00Z") == datetime(2026, 1, 31, 13, tzinfo=UTC)


def test_a_month_is_written_with_or_without_a_dash() -> None:
    assert month("2026-01") == month("202601") == "202601"
    with pytest.raises(click.BadParameter, match="write 2026-01"):
        month("2026-13")


def test_an_amount_is_a_whole_number_or_none() -> None:
    assert amount("1_000") == 1000
    assert amount("None") is Unlimited.NONE
    for text in ("", "-1", "1.5", "1e3", "²", "x"):
        with pytest.raises(click.BadParameter, match="whole number"):
            amount(text)


def test_none_is_null_in_a_body_and_left_out_is_left_out() -> None:
    assert msgspec.json.encode(body({"name": None, "count": Unlimited.NONE}, Asked)) == b'{"count":null}'
    assert given({"name": "none", "tags": ()}) == {"name": "none"}, "a thing may be called so"


def test_a_change_must_change_something_and_a_body_must_be_one() -> None:
    with pytest.raises(click.UsageError, match="at least one option"):
        changes({"name": None}, Asked)
    with pytest.raises(click.UsageError, match="Expected `int"):
        body({"count": "x"}, Asked)

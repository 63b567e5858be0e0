"""Numbers, money and moments as people read them."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from ias.console import formats

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(("value", "said"), [(0, "0"), (1_234_567, "1,234,567"), (-1_000, "-1,000"), (None, "–")])
def test_a_number_is_exact(value: int | None, said: str) -> None:
    assert formats.number(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (1_000, "1k"),
        (1_234, "1.23k"),
        (999_499, "999k"),
        (999_999, "1M"),
        (1_500_000, "1.5M"),
        (2 * 10**9, "2B"),
        (3.2 * 10**12, "3.2T"),
        (-1_234, "-1.23k"),
        (0.25, "0.25"),
        (Decimal("12.5"), "12.5"),
        (None, "–"),
    ],
)
def test_a_short_number_has_three_digits(value: float | Decimal | None, said: str) -> None:
    assert formats.short(value) == said


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("0", "0.00"),
        ("1234.5", "1,234.50"),
        ("0.01", "0.01"),
        ("0.00042", "0.00042"),
        ("0.000123", "0.00012"),
        ("-0.005", "-0.0050"),
        (Decimal("1E-12"), "0.0000000000010"),
        (None, "–"),
    ],
)
def test_money_is_told_to_the_cent_and_small_amounts_are_not_nothing(value: str | None, said: str) -> None:
    assert formats.money(value) == said


def test_a_share_is_told_in_percent() -> None:
    assert [formats.percent(0.256), formats.percent(0.256, 1), formats.percent(None)] == ["26 %", "25.6 %", "–"]


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=9), "just now"),
        (timedelta(seconds=-9), "just now"),
        (timedelta(seconds=10), "10 seconds ago"),
        (timedelta(seconds=60), "1 minute ago"),
        (timedelta(minutes=59, seconds=59), "59 minutes ago"),
        (timedelta(hours=1), "1 hour ago"),
        (timedelta(days=2, hours=5), "2 days ago"),
        (timedelta(days=-3), "in 3 days"),
        (timedelta(days=59), "59 days ago"),
        (timedelta(days=60), "31 Dec 2025"),
        (timedelta(days=-365), "1 Mar 2027"),
    ],
)
def test_a_moment_is_told_by_how_far_it_is_until_it_is_long_ago(ago: timedelta, said: str) -> None:
    assert formats.relative(NOW - ago, NOW) == said


def test_a_moment_of_another_zone_is_told_in_utc() -> None:
    moment = datetime.fromisoformat("2026-01-01T01:30:00+02:00")
    assert formats.exactly(moment) == "2025-12-31 23:30:00 UTC"
    assert formats.iso(moment) == "2025-12-31T23:30:00Z"
    assert formats.day(moment) == "31 Dec 2025"


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/150.0 Safari/537.36 Edg/150.0", "Edge on Windows"),
        ("Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/150.0 Mobile Safari/537.36", "Chrome on Android"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/19.0 Safari/605.1.15", "Safari on macOS"),
        ("curl/8.5", "curl"),
        ("", "A browser"),
    ],
)
def test_a_browser_is_told_in_two_words(agent: str, said: str) -> None:
    assert formats.device(agent) == said

"""When a new API key ends."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ias.identity.api_keys.domain import BadExpiry, expiry

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)


def test_a_key_without_an_expiry_never_ends() -> None:
    assert expiry(None, NOW) is None


def test_a_key_ends_in_the_future_in_whatever_time_zone() -> None:
    later = (NOW + timedelta(seconds=1)).astimezone(timezone(timedelta(hours=9)))
    assert expiry(later, NOW) == later


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (NOW, "in the future"),
        (NOW - timedelta(days=1), "in the future"),
        (NOW.replace(tzinfo=None) + timedelta(days=1), "time zone"),
    ],
)
def test_an_expiry_in_the_past_or_without_time_zone_is_refused(asked: datetime, said: str) -> None:
    with pytest.raises(BadExpiry, match=said) as refused:
        expiry(asked, NOW)
    assert refused.value.errors[0].pointer == "/expires_at"

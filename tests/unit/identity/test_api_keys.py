"""When an API key ends, and which rules it may have."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec
import pytest

from ias.conditions import etag
from ias.identity.api_keys.domain import (
    SHOWN,
    ApiKey,
    BadExpiry,
    IssuedKey,
    KeyChanges,
    KeyRevoked,
    UnknownModels,
    changed,
    checked,
    expiry,
)

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
KEY = ApiKey(id=UUID(int=1), org_id=UUID(int=2), user_id=UUID(int=3), label="x", prefix="ias_", created_at=NOW)


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


def test_models_are_kept_once_and_in_order() -> None:
    assert checked(None, []) is None
    assert checked(["b", "a", "b"], ["a", "b", "c"]) == ["a", "b"]


def test_a_key_for_no_model_is_refused_with_what_to_do() -> None:
    with pytest.raises(UnknownModels, match="models: name one at least, or null for every model") as refused:
        checked([], ["a"])
    assert [fault.pointer for fault in refused.value.errors] == ["/models"]


def test_each_model_that_is_not_known_is_named_with_those_that_are() -> None:
    with pytest.raises(UnknownModels, match="it may call: a, b") as refused:
        checked(["a", "x", "y"], {"b", "a"})
    assert [fault.pointer for fault in refused.value.errors] == ["/models/1", "/models/2"]
    with pytest.raises(UnknownModels, match="none yet"):
        checked(["a"], [])
    with pytest.raises(UnknownModels, match=f"m{SHOWN - 1:02} and others$"):
        checked(["a"], [f"m{number:02}" for number in range(SHOWN + 1)])


def test_a_change_leaves_what_it_does_not_name_and_null_takes_a_rule_off() -> None:
    ruled = changed(KEY, KeyChanges(models=["a"], monthly_tokens=5), ["a"], NOW)
    assert (ruled.models, ruled.monthly_tokens, KEY.models) == (["a"], 5, None)
    assert changed(ruled, KeyChanges(), [], NOW) == ruled
    assert changed(ruled, KeyChanges(monthly_tokens=None), [], NOW).monthly_tokens is None
    assert changed(ruled, KeyChanges(models=None), [], NOW).models is None


def test_a_model_that_a_key_has_may_stay_when_the_organisation_lost_it() -> None:
    ruled = msgspec.structs.replace(KEY, models=["gone"])
    assert changed(ruled, KeyChanges(models=["gone", "a"]), ["a"], NOW).models == ["a", "gone"]
    with pytest.raises(UnknownModels):
        changed(KEY, KeyChanges(models=["gone"]), ["a"], NOW)


@pytest.mark.parametrize("ending", ["revoked_at", "expires_at"])
def test_a_key_that_has_ended_is_not_changed(ending: str) -> None:
    with pytest.raises(KeyRevoked):
        changed(msgspec.structs.replace(KEY, **{ending: NOW}), KeyChanges(monthly_tokens=5), [], NOW)


def test_use_and_token_are_no_part_of_a_keys_etag() -> None:
    used = msgspec.structs.replace(KEY, last_used_at=NOW, spent_tokens=7)
    issued = IssuedKey(**msgspec.structs.asdict(KEY), token="x")
    assert etag(used) == etag(issued) == etag(KEY)
    assert etag(msgspec.structs.replace(KEY, monthly_tokens=7)) != etag(KEY)

"""Which events can be recorded, and when two are the same."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from ias.contract.sound import MOST_TOKENS, fault_in, fingerprint
from ias.contract.usage import UsageRecorded
from tests.unit.events import MOMENT, an_event


def test_ordinary_events_and_adjustments_can_be_recorded() -> None:
    assert fault_in(an_event()) is None
    assert fault_in(an_event(line=2, prompt_tokens=-5, completion_tokens=-1, cached_tokens=0)) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"line": 0}, "line numbers"),
        ({"period": "202613"}, "not a month"),
        ({"period": "2026-01"}, "not a month"),
        ({"period": "202601\n"}, "not a month"),
        ({"prompt_tokens": -1, "cached_tokens": 0}, "negative"),
        ({"completion_tokens": -1}, "negative"),
        ({"completion_tokens": MOST_TOKENS + 1}, "more tokens than can be counted"),
        ({"line": 2, "completion_tokens": -MOST_TOKENS - 1}, "more tokens than can be counted"),
        ({"cached_tokens": 101}, "more cached tokens"),
        ({"started_at": datetime(1970, 1, 1, tzinfo=UTC)}, "before there was anything"),
        ({"model": "m\0"}, "NUL"),
        ({"replica": "\0"}, "NUL"),
    ],
)
def test_what_cannot_be_recorded_is_told_why(changes: dict[str, object], said: str) -> None:
    assert said in (fault_in(an_event(**changes)) or "")


def test_the_same_event_has_the_same_fingerprint_and_another_body_another() -> None:
    again = msgspec.json.decode(msgspec.json.encode(an_event()), type=UsageRecorded)

    assert fingerprint(again) == fingerprint(an_event())
    assert fingerprint(an_event(completion_tokens=11)) != fingerprint(an_event())
    assert fingerprint(an_event(status=500)) != fingerprint(an_event())


def test_times_make_no_other_body() -> None:
    later = MOMENT + timedelta(seconds=9)
    assert fingerprint(an_event(started_at=later, settled_at=later)) == fingerprint(an_event())

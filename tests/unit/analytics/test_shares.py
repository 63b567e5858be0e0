"""What follows from what was counted of a part, and that parts and the rest are the whole."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ias.analytics.shares.domain import COUNTED, Part, in_whole_days, in_whole_hours, part, ratio, rest_of
from ias.analytics.usage.spans import Span

COUNTS = st.fixed_dictionaries({name: st.integers(0, 10**9) for name in COUNTED})


def test_shares_are_of_the_whole_and_of_nothing_there_is_none() -> None:
    counted = {"requests": 8, "failed": 2, "prompt_tokens": 30, "cached_tokens": 10, "total_tokens": 40}

    made = part({**counted, "previous_tokens": 50, "model": "m"}, 160)

    assert (made.share, made.failed_share, made.cached_share, made.change_tokens) == (0.25, 0.25, 0.3333, -10)
    assert (made.model, made.performance) == ("m", Part().performance)
    nothing = part({}, 0)
    assert (nothing.share, nothing.failed_share, nothing.cached_share) == (None, None, None)
    assert ratio(1, 3) == 0.3333


@given(st.lists(COUNTS, max_size=6), st.integers(0, 6))
def test_what_is_shown_and_the_rest_are_the_whole(counts: list[dict[str, int]], shown: int) -> None:
    whole = {name: sum(each[name] for each in counts) for name in COUNTED}
    totals = part(whole, whole["total_tokens"])
    items = [part(each, whole["total_tokens"]) for each in counts[:shown]]

    rest = rest_of(totals, items)

    for name in COUNTED:
        left = getattr(rest, name) if rest is not None else 0
        assert sum(getattr(item, name) for item in items) + left == getattr(totals, name)
    assert rest is None or any(getattr(rest, name) for name in COUNTED)


def test_spans_are_widened_to_hours_and_days_of_utc() -> None:
    start, end = datetime(2026, 1, 1, 18, 30, tzinfo=UTC), datetime(2026, 1, 3, 18, 30, tzinfo=UTC)
    asked = Span(start, end, "Asia/Kolkata")

    assert in_whole_hours(asked) == Span(start.replace(minute=0), end.replace(hour=19, minute=0))
    assert in_whole_days(asked) == Span(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 4, tzinfo=UTC))

"""Two first lines of a request, one of which is a lower bound, come to the truth in any order and however often."""

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from ias.contract.amends import Known, Tokens, adjustment, amends, is_amendable
from ias.contract.usage import Outcome, UsageRecorded

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
COUNTS = st.tuples(*[st.integers(0, 1000)] * 3)


def line(tokens: Tokens, *, lower_bound: bool, number: int = 1, request: int = 1) -> UsageRecorded:
    return UsageRecorded(
        request_id=UUID(int=request),
        line=number,
        period="202601",
        organisation=UUID(int=2),
        user=UUID(int=3),
        key=UUID(int=4),
        model="m",
        model_id=UUID(int=5),
        endpoint="e",
        prompt_tokens=tokens[0],
        completion_tokens=tokens[1],
        cached_tokens=tokens[2],
        outcome=Outcome.GATEWAY_LOST if lower_bound else Outcome.COMPLETED,
        lower_bound=lower_bound,
        started_at=MOMENT,
        settled_at=MOMENT,
    )


def add(known: Known, event: UsageRecorded) -> Known:
    further = adjustment(event, known)
    if further is None:
        return known
    assert further.line == known.line + 1
    return known.after(further)


@given(COUNTS, COUNTS)
def test_the_gateways_truth_after_a_lower_bound_is_what_all_lines_come_to(least: Tokens, truth: Tokens) -> None:
    known, event = Known(1, least, lower_bound=True), line(truth, lower_bound=False)
    assert is_amendable(event, known)
    after = add(known, event)
    assert after.tokens == truth
    assert add(after, event) == after


@given(COUNTS, COUNTS)
def test_a_lower_bound_after_the_truth_adds_nothing(least: Tokens, truth: Tokens) -> None:
    known, event = Known(1, truth, lower_bound=False), line(least, lower_bound=True)
    assert is_amendable(event, known)
    assert adjustment(event, known) is None


@given(COUNTS, COUNTS)
def test_of_two_lower_bounds_the_greater_one_counts(one: Tokens, other: Tokens) -> None:
    after = add(Known(1, one, lower_bound=True), line(other, lower_bound=True))
    assert after.tokens == tuple(map(max, one, other))
    assert add(after, line(other, lower_bound=True)) == after


def test_two_truths_and_other_lines_are_contradictions() -> None:
    assert not is_amendable(line((1, 1, 0), lower_bound=False), Known(1, (2, 1, 0), lower_bound=False))
    assert not is_amendable(line((1, 1, 0), lower_bound=False, number=2), Known(2, (2, 1, 0), lower_bound=True))
    assert not is_amendable(line((1, 1, 0), lower_bound=True), None)


def test_of_a_batch_the_contradictions_stay_and_the_others_become_lines_that_follow_on_each_other() -> None:
    known = {UUID(int=1): Known(1, (5, 5, 0), lower_bound=True), UUID(int=2): Known(1, (5, 5, 0), lower_bound=False)}
    truth, again = line((9, 7, 1), lower_bound=False), line((9, 7, 1), lower_bound=False)
    contradiction = line((6, 5, 0), lower_bound=False, request=2)
    unheard_of = line((6, 5, 0), lower_bound=True, request=3)
    lines, contradicting = amends([truth, contradiction, again, unheard_of], known)
    assert [(made.line, made.prompt_tokens, made.completion_tokens, made.cached_tokens) for made in lines] == [
        (2, 4, 2, 1)
    ]
    assert contradicting == [contradiction, unheard_of]
    assert known[UUID(int=1)] == Known(2, (9, 7, 1), lower_bound=True)


def test_what_is_kept_is_read_from_a_row() -> None:
    row = {"line": 3, "prompt": 5, "completion": 6, "cached": 1, "lower_bound": True}
    assert Known.of(row) == Known(3, (5, 6, 1), lower_bound=True)

"""When alerts are raised and when they are over."""

from collections.abc import Mapping
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.billing.alerts.domain import (
    DEFAULT_THRESHOLDS,
    BadThresholds,
    Mark,
    Passing,
    Plan,
    Rules,
    Thresholds,
    Use,
    check_thresholds,
    plan,
    plan_late,
    watched,
    without,
)
from ias.billing.policies.domain import Budget

ORG, OTHER, ANNA, BEN = (UUID(int=number) for number in range(1, 5))
AUGUST = datetime(2026, 8, 1, tzinfo=UTC)


def rules(
    tokens: int | None = 1000,
    user_tokens: int | None = None,
    thresholds: tuple[int, ...] = DEFAULT_THRESHOLDS,
    changed_at: datetime | None = None,
    **members: int | None,
) -> Rules:
    own = {{"anna": ANNA, "ben": BEN}[name]: limit for name, limit in members.items()}
    return Rules(Budget(monthly_tokens=tokens, user_monthly_tokens=user_tokens), own, thresholds, changed_at)


def planned(of: Rules, uses: Mapping[UUID | None, Use], in_force: Mapping[Mark, int] | None = None) -> Plan:
    return plan({ORG: uses}, {ORG: of}, in_force or {})


def thresholds(found: Plan, user_id: UUID | None = None) -> list[int]:
    return [passing.mark.threshold for passing in found.raised if passing.mark.user_id == user_id]


@pytest.mark.parametrize(
    ("used", "passed"), [(0, []), (799, []), (800, [80]), (899, [80]), (999, [80, 90]), (1000, [80, 90, 100])]
)
def test_each_threshold_is_passed_once_the_use_reaches_it(used: int, passed: list[int]) -> None:
    assert thresholds(planned(rules(), {None: Use(used)})) == passed


def test_an_alert_says_of_which_amount_and_at_which_use() -> None:
    found = planned(rules(), {None: Use(850)})

    assert found == Plan((Passing(Mark(ORG, None, 80), 1000, 850, refused=False),), ())


def test_what_holds_already_is_not_raised_again() -> None:
    found = planned(rules(), {None: Use(950)}, {Mark(ORG, None, 80): 1000})

    assert thresholds(found) == [90]
    assert found.cleared == ()


def test_without_a_budget_there_is_nothing_to_pass() -> None:
    assert planned(rules(None), {None: Use(10**15), ANNA: Use(10**15)}) == Plan((), ())


def test_members_are_measured_by_their_own_budget_or_by_the_one_of_every_member() -> None:
    uses = {None: Use(120), ANNA: Use(90), BEN: Use(30)}

    found = planned(rules(user_tokens=100, ben=30), uses)

    assert thresholds(found) == []
    assert thresholds(found, ANNA) == [80, 90]
    assert thresholds(found, BEN) == [80, 90, 100]
    assert thresholds(planned(rules(user_tokens=100, anna=None), uses), ANNA) == []


def test_a_budget_lowered_below_the_use_raises_what_was_not_raised_before() -> None:
    found = planned(rules(900), {None: Use(850)}, {Mark(ORG, None, 80): 1000})

    assert found.raised == (Passing(Mark(ORG, None, 90), 900, 850, refused=False),)
    assert found.cleared == ()


def test_a_raised_budget_clears_what_it_leaves_behind_and_no_more() -> None:
    holding = {Mark(ORG, None, 80): 1000, Mark(ORG, None, 90): 1000, Mark(ORG, None, 100): 1000}

    found = planned(rules(1200), {None: Use(1000)}, holding)

    assert found == Plan((), (Mark(ORG, None, 90), Mark(ORG, None, 100)))


def test_a_budget_taken_away_clears_its_alerts() -> None:
    holding = {Mark(ORG, None, 80): 1000, Mark(ORG, ANNA, 80): 100}

    assert set(planned(rules(None), {None: Use(1000)}, holding).cleared) == set(holding)


def test_alerts_of_who_was_removed_are_over_and_those_of_others_are_left_alone() -> None:
    holding = {Mark(ORG, None, 80): 1000, Mark(ORG, ANNA, 80): 100, Mark(ORG, BEN, 80): 100}
    found = planned(rules(user_tokens=100), {None: Use(950), ANNA: Use(95), BEN: Use(95)}, holding)

    left = without({ANNA}, found, holding)

    assert {passing.mark for passing in left.raised} == {Mark(ORG, None, 90), Mark(ORG, BEN, 90)}
    assert left.cleared == (Mark(ORG, ANNA, 80),)
    assert without({ANNA}, Plan((), (Mark(ORG, ANNA, 80), Mark(ORG, None, 80))), holding).cleared == (
        Mark(ORG, None, 80),
        Mark(ORG, ANNA, 80),
    )


def test_use_that_sinks_again_clears_nothing_so_that_adjustments_raise_nothing_twice() -> None:
    assert planned(rules(), {None: Use(799)}, {Mark(ORG, None, 80): 1000}) == Plan((), ())


def test_a_threshold_that_is_not_asked_for_any_more_leaves_its_alert_alone() -> None:
    assert planned(rules(thresholds=(50,)), {None: Use(850)}, {Mark(ORG, None, 80): 1000}).cleared == ()


def test_a_refusal_near_the_end_says_that_the_budget_is_used_up() -> None:
    found = planned(rules(), {None: Use(985, refused=1000), ANNA: Use(985, refused=1000)})

    assert thresholds(found) == [80, 90, 100]
    assert [passing.refused for passing in found.raised] == [False, False, True]


@pytest.mark.parametrize("use", [Use(899, refused=1000), Use(985, refused=2000), Use(985)])
def test_a_refusal_far_from_the_end_or_of_another_amount_says_nothing(use: Use) -> None:
    assert 100 not in thresholds(planned(rules(), {None: use}))


def test_a_budget_of_nothing_is_told_of_when_somebody_wanted_some() -> None:
    assert thresholds(planned(rules(0), {None: Use(0)})) == []
    assert thresholds(planned(rules(0), {None: Use(0, refused=0)})) == [100]


def test_of_a_month_that_is_over_alerts_are_raised_by_what_was_not_changed_since() -> None:
    uses: dict[UUID, dict[UUID | None, Use]] = {ORG: {None: Use(900)}, OTHER: {None: Use(900)}}
    late = {ORG: rules(changed_at=datetime(2026, 7, 31, tzinfo=UTC)), OTHER: rules(changed_at=AUGUST)}

    found = plan_late(uses, late, {}, AUGUST)

    assert [passing.mark for passing in found.raised] == [Mark(ORG, None, 80), Mark(ORG, None, 90)]
    assert plan_late({ORG: {None: Use(1)}}, {ORG: rules(10)}, {Mark(ORG, None, 80): 1}, AUGUST).cleared == ()


@pytest.mark.parametrize(
    ("moment", "months"),
    [
        (datetime(2026, 8, 1, tzinfo=UTC), ("202608", "202607")),
        (datetime(2026, 8, 2, 23, tzinfo=UTC), ("202608", "202607")),
        (datetime(2026, 8, 4, tzinfo=UTC), ("202608",)),
        (datetime(2027, 1, 1, 0, 0, 1, tzinfo=UTC), ("202701", "202612")),
    ],
)
def test_the_month_before_is_watched_as_long_as_requests_of_it_may_end(
    moment: datetime, months: tuple[str, ...]
) -> None:
    assert watched(moment) == months


def test_thresholds_are_kept_in_their_order() -> None:
    assert check_thresholds(Thresholds([100, 1, 50])) == (1, 50, 100)


@pytest.mark.parametrize("asked", [[], [80, 80], list(range(1, 12))])
def test_none_too_many_or_equal_thresholds_are_refused(asked: list[int]) -> None:
    with pytest.raises(BadThresholds) as refused:
        check_thresholds(Thresholds(asked))

    assert refused.value.errors[0].pointer == "/thresholds"


AMOUNTS = st.integers(0, 2**53 - 1)


@given(limit=AMOUNTS, uses=st.lists(AMOUNTS, max_size=6), lower=AMOUNTS)
def test_as_use_grows_each_threshold_is_raised_exactly_once(limit: int, uses: list[int], lower: int) -> None:
    holding: dict[Mark, int] = {}
    raised: list[Mark] = []
    for used in sorted(uses):
        found = planned(rules(limit), {None: Use(used)}, holding)
        raised += [passing.mark for passing in found.raised]
        holding |= {passing.mark: passing.limit for passing in found.raised}
        assert found.cleared == ()

    most = max(uses, default=0)
    assert raised == [Mark(ORG, None, t) for t in DEFAULT_THRESHOLDS if most > 0 and most * 100 >= t * limit]
    again = planned(rules(min(lower, limit)), {None: Use(most)}, holding)
    assert not {passing.mark for passing in again.raised} & set(raised)

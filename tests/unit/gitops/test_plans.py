"""Plans: what a policy changes, whom it blocks, what is held, and what it would have refused."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.billing.values import Budget, Ceiling, RateLimits, Request, Terms, Use
from ias.gitops.documents.domain import Document
from ias.gitops.documents.faults import Fault
from ias.gitops.documents.reading import load
from ias.gitops.plans.answers import Proposal, markdown, said, text
from ias.gitops.plans.blocking import blocked
from ias.gitops.plans.checks import REWRITTEN, UNTOLD, holds, possible, refused, taking_nobody
from ias.gitops.plans.domain import Change, Dismiss, Expect, InForce, Regrade, SetMemberBudget, plan
from ias.gitops.plans.replay import Reason, Replay, periods
from ias.identity.values import About, Person, Role, Roster, Standing

ADA, BOB, CY, DI = (UUID(int=number) for number in range(1, 5))
NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)


def person(user_id: UUID, email: str, role: Role = Role.ORG_USER, standing: Standing = Standing.ACTIVE) -> Person:
    return Person(user_id, email, role, standing)


PEOPLE = (person(ADA, "ada@x.y", Role.ORG_ADMIN), person(BOB, "bob@x.y"), person(CY, "cy@x.y"))


def in_force(*people: Person, terms: Terms | None = None) -> InForce:
    here = {each.email: each for each in people or PEOPLE}
    default = Terms(
        budget=Budget(monthly_tokens=1000, user_monthly_tokens=None),
        members={BOB: 100},
        limits=RateLimits(),
        models=None,
        thresholds=(80, 90),
        ceiling=Ceiling(2000, RateLimits(), None),
    )
    return InForce(Roster(UUID(int=9), "x", "tagtagta", True, About(description="D"), here), terms or default)


def policy(spec: str, metadata: str = "") -> Document:
    head = f"apiVersion: ias.linode.com/v1\nkind: Organization\nmetadata:\n  name: x\n{metadata}"
    loaded = load(f"{head}spec:\n{spec}".encode() if spec else f"{head}spec: {{}}\n".encode())
    assert loaded.document is not None, loaded.faults
    return loaded.document


def users(*emails: str, admins: tuple[str, ...] = ("ada@x.y",)) -> str:
    lines = [f"    - {{email: {email}, role: {'org-admin' if email in admins else 'org-user'}}}" for email in emails]
    return "  users:\n" + "\n".join(lines) + "\n"


def changed(wanted: Document, now: InForce) -> dict[str, tuple[object, object]]:
    return {change.field: (change.before, change.after) for change in plan(wanted, now).changes}


def test_what_is_as_it_is_wanted_needs_nothing() -> None:
    spec = (
        "  budgets: {monthly_tokens: 1000}\n  alert_thresholds: [{percent: 90}, {percent: 80}]\n  allowed_models: ~\n"
    )
    members = (
        "  users:\n    - {email: ADA@x.y, role: org-admin}\n    - {email: bob@x.y, monthly_token_limit: 100}\n"
        "    - {email: cy@x.y}\n"
    )
    assert plan(policy(spec + members, "  description: D\n"), in_force()).steps == ()
    assert plan(policy(""), in_force()).changes == ()


def test_every_part_that_differs_is_a_change_with_before_and_after() -> None:
    spec = (
        "  budgets: {monthly_tokens: ~, user_monthly_tokens: 5}\n  rate_limits: {burst: 3000}\n"
        "  allowed_models: [b, a]\n  alert_thresholds: [{percent: 50}]\n"
    )
    assert changed(policy(spec, "  description: E\n  cost_center: '1'\n  tags: {a: b}\n"), in_force()) == {
        "metadata.description": ("D", "E"),
        "metadata.cost_center": ("", "1"),
        "metadata.tags": ({}, {"a": "b"}),
        "spec.budgets.monthly_tokens": (1000, None),
        "spec.budgets.user_monthly_tokens": (None, 5),
        "spec.rate_limits.burst": (2000, 3000),
        "spec.allowed_models": (None, ["a", "b"]),
        "spec.alert_thresholds": ([80, 90], [50]),
    }


def test_people_come_first_and_go_last_and_admins_are_made_before_they_are_unmade() -> None:
    wanted = policy(users("bob@x.y", "ada@x.y", "di@x.y", admins=("bob@x.y",)))
    steps = [step for step in plan(wanted, in_force()).steps if not isinstance(step, SetMemberBudget)]
    assert steps == [
        Expect("di@x.y", Role.ORG_USER),
        Regrade(PEOPLE[1], Role.ORG_ADMIN),
        Regrade(PEOPLE[0], Role.ORG_USER),
        Dismiss(PEOPLE[2]),
    ]


def test_a_limit_of_ones_own_is_given_changed_and_taken_back() -> None:
    people = (
        "  users:\n    - {{email: ada@x.y, role: org-admin}}\n    - {{email: bob@x.y{}}}\n    - {{email: cy@x.y{}}}\n"
    )
    rule = "the organisation's rule"
    given = changed(policy(people.format(", monthly_token_limit: 7", ", monthly_token_limit: ~")), in_force())
    assert given == {
        "spec.users[bob@x.y].monthly_token_limit": (100, 7),
        "spec.users[cy@x.y].monthly_token_limit": (rule, None),
    }
    assert changed(policy(people.format("", "")), in_force()) == {
        "spec.users[bob@x.y].monthly_token_limit": (100, rule)
    }


def test_who_is_only_expected_gets_another_role_or_is_expected_no_more_but_no_limit() -> None:
    waiting = person(DI, "di@x.y", standing=Standing.INVITED)
    now = in_force(*PEOPLE, waiting)
    wanted = "  users: [{email: ada@x.y, role: org-admin}, {email: bob@x.y, monthly_token_limit: 100}, {email: cy@x.y}"
    assert plan(policy(f"{wanted}]\n"), now).steps == (Dismiss(waiting),)
    more = f"{wanted}, {{email: di@x.y, role: org-admin, monthly_token_limit: 5}}]\n"
    assert plan(policy(more), now).steps == (Regrade(waiting, Role.ORG_ADMIN),)


def test_removing_every_admin_is_held_also_by_taking_the_role() -> None:
    now = in_force()
    for wanted in (policy(users("bob@x.y", "cy@x.y")), policy(users("ada@x.y", "bob@x.y", "cy@x.y", admins=()))):
        assert holds(plan(wanted, now), now, follows=True) == ("no admin who has an account would be left",)


def test_an_admin_who_has_no_account_yet_or_is_suspended_is_none_that_is_left() -> None:
    now = in_force(*PEOPLE, person(DI, "di@x.y", Role.ORG_USER, Standing.SUSPENDED))
    wanted = policy(users("bob@x.y", "cy@x.y", "di@x.y", "ed@x.y", admins=("di@x.y", "ed@x.y")))
    assert holds(plan(wanted, now), now, follows=True) == ("no admin who has an account would be left",)


def test_an_organisation_without_an_admin_is_not_held_for_having_none() -> None:
    now = in_force(person(BOB, "bob@x.y"), person(CY, "cy@x.y"))
    assert holds(plan(policy(users("bob@x.y", "cy@x.y")), now), now, follows=True) == ()


@given(st.integers(1, 12), st.integers(0, 12))
def test_removing_more_than_half_is_held_and_half_is_not(members: int, leaving: int) -> None:
    leaving = min(leaving, members - 1)
    people = [person(UUID(int=number + 1), f"u{number}@x.y", Role.ORG_ADMIN) for number in range(members)]
    now = in_force(*people)
    staying = [each.email for each in people[leaving:]]
    found = holds(plan(policy(users(*staying, admins=tuple(staying))), now), now, follows=True)
    assert bool(found) == (leaving > members / 2)


def test_a_history_that_was_rewritten_is_held() -> None:
    assert holds(plan(policy(""), in_force()), in_force(), follows=False) == (REWRITTEN,)
    assert holds(plan(policy(""), in_force()), in_force(), follows=None) == (UNTOLD,)


def test_what_is_above_the_ceiling_or_not_there_is_refused_with_the_line_of_its_part() -> None:
    spec = "  budgets: {monthly_tokens: 2001}\n  rate_limits: {tokens_per_minute: ~}\n  allowed_models: [mistal]\n"
    lines = {"budgets": 6, "rate_limits": 7, "allowed_models": 8}
    found = refused(policy(spec), in_force(), {"mistral"}, lines)
    assert [(fault.line, fault.path) for fault in found] == [
        (6, "spec.budgets.monthly_tokens"),
        (7, "spec.rate_limits"),
        (8, "spec.allowed_models"),
    ]
    assert found[2].detail.endswith("did you mean mistral?")
    planned = plan(policy(f"{spec}  alert_thresholds: [{{percent: 1}}]\n"), in_force())
    left = possible(planned, found)
    assert len(left.steps) == len(planned.steps) - 3
    assert {change.field for change in planned.changes} - {change.field for change in left.changes} == {
        "spec.budgets.monthly_tokens",
        "spec.rate_limits.tokens_per_minute",
        "spec.allowed_models",
    }
    assert possible(planned, ()) == planned


def test_a_plan_that_takes_nobody_still_brings_people_and_terms() -> None:
    wanted = policy(users("bob@x.y", "di@x.y", admins=("bob@x.y",)) + "  budgets: {monthly_tokens: 5}\n")
    left = taking_nobody(plan(wanted, in_force()))
    assert not any(isinstance(step, Dismiss | Regrade) for step in left.steps)
    assert [change.field for change in left.changes] == [
        "spec.budgets.monthly_tokens",
        "spec.users[di@x.y]",
        "spec.users[bob@x.y].monthly_token_limit",
    ]


def test_limits_that_contradict_those_in_force_are_refused() -> None:
    (fault,) = refused(policy("  rate_limits: {burst: 10}\n"), in_force(), (), {})
    assert "burst must be at least requests_per_second" in fault.detail


def test_models_are_chosen_from_those_that_the_platform_gave() -> None:
    now = in_force()
    given = Terms(now.terms.budget, {}, RateLimits(), ("a",), (80,), Ceiling(None, RateLimits(), frozenset({"a", "b"})))
    few = in_force(terms=given)
    assert "the platform gave a, b" in refused(policy("  allowed_models: ~\n"), few, {"a", "b", "c"}, {})[0].detail
    assert refused(policy("  allowed_models: [c]\n"), few, {"a", "b", "c"}, {})
    assert refused(policy("  allowed_models: [a, b]\n"), few, {"a", "b", "c"}, {}) == ()
    assert refused(policy("  budgets: {monthly_tokens: ~}\n"), few, (), {}) == ()


USES = (Use(ADA, "a", 400), Use(BOB, "a", 90), Use(BOB, "b", 5), Use(CY, "b", 30))


def whom(spec: str, now: InForce | None = None) -> list[tuple[str, int]]:
    return [(each.who, each.used_tokens) for each in blocked(policy(spec), now or in_force(), USES)]


def test_whom_a_policy_blocks_now_follows_from_what_was_used() -> None:
    assert whom("  budgets: {monthly_tokens: 526}\n") == []
    assert whom("  budgets: {monthly_tokens: 525}\n") == [("everybody", 525)]
    assert whom("  budgets: {user_monthly_tokens: 40}\n") == [("ada@x.y", 400)]
    assert whom("  allowed_models: [a]\n") == [("bob@x.y", 5), ("cy@x.y", 30)]
    assert whom(users("ada@x.y", "bob@x.y")) == [("cy@x.y", 30)]
    bob = "  users: [{email: ada@x.y, role: org-admin}, {email: bob@x.y, monthly_token_limit: 95}, {email: cy@x.y}]\n"
    assert whom(bob) == [("bob@x.y", 95)]


def test_who_is_blocked_already_is_not_told_again() -> None:
    now = in_force()
    spent = Terms(Budget(monthly_tokens=500), {BOB: 90}, RateLimits(), ("a",), (80,), now.terms.ceiling)
    assert whom("  budgets: {monthly_tokens: 400}\n", in_force(terms=spent)) == []
    assert whom("  allowed_models: []\n", in_force(terms=spent)) == [("ada@x.y", 400), ("bob@x.y", 90)]


def asked(user_id: UUID, seconds: float, tokens: int = 10, model: str = "a") -> Request:
    at = NOW + timedelta(seconds=seconds)
    return Request(user_id, model, f"{at:%Y%m}", tokens, at)


def replayed(spec: str, *requests: Request, now: InForce | None = None) -> dict[str, dict[Reason, int]]:
    replay = Replay(policy(spec), now or in_force(), NOW)
    for request in requests:
        replay.take(request)
    found = replay.answer()
    assert found.requests == sum(request.started_at >= NOW for request in requests)
    assert found.refused == sum(each.refused for each in found.users)
    return {each.email: each.reasons for each in found.users if each.refused}


def test_requests_past_a_budget_would_have_been_refused_and_refused_ones_use_nothing() -> None:
    spec = "  budgets: {monthly_tokens: 25}\n"
    assert replayed(spec, asked(ADA, 0), asked(ADA, 1), asked(BOB, 2), asked(CY, 3, tokens=5)) == {
        "bob@x.y": {Reason.BUDGET: 1}
    }


def test_what_was_used_of_the_month_before_the_first_request_counts() -> None:
    spec = "  budgets: {monthly_tokens: 25}\n"
    assert replayed(spec, asked(BOB, -100, tokens=20), asked(ADA, 0)) == {"ada@x.y": {Reason.BUDGET: 1}}


def test_a_new_month_is_whole_again() -> None:
    later = timedelta(days=20).total_seconds()
    assert replayed("  budgets: {monthly_tokens: 10}\n", asked(ADA, 0), asked(ADA, later)) == {}


def test_requests_of_members_who_are_struck_and_of_models_that_are_not_allowed_would_have_been_refused() -> None:
    spec = users("ada@x.y", "bob@x.y") + "  allowed_models: [a]\n"
    assert replayed(spec, asked(CY, 0), asked(BOB, 1, model="b"), asked(ADA, 2), asked(DI, 3)) == {
        "cy@x.y": {Reason.MEMBERSHIP: 1},
        "bob@x.y": {Reason.MODEL: 1},
        "": {Reason.MEMBERSHIP: 1},
    }


def test_a_members_own_limit_holds() -> None:
    assert replayed("  budgets: {user_monthly_tokens: 15}\n", *(asked(ADA, second) for second in range(3))) == {
        "ada@x.y": {Reason.USER_BUDGET: 2}
    }


def test_requests_that_come_too_fast_would_have_been_refused() -> None:
    spec = "  rate_limits: {requests_per_second: 1, burst: 2, user_requests_per_second: ~}\n"
    assert replayed(spec, *(asked(ADA, each / 10) for each in range(5)), asked(BOB, 10)) == {
        "ada@x.y": {Reason.RATE: 3}
    }
    own = "  rate_limits: {user_requests_per_second: 1, user_burst: 1}\n"
    assert replayed(own, asked(ADA, 0), asked(BOB, 0), asked(ADA, 0.5), asked(ADA, 1.01)) == {
        "ada@x.y": {Reason.USER_RATE: 1}
    }


def test_the_months_of_a_span_are_named() -> None:
    assert periods(datetime(2026, 11, 30, tzinfo=UTC), datetime(2027, 2, 1, tzinfo=UTC)) == (
        "202611",
        "202612",
        "202701",
        "202702",
    )


def proposal(**more: object) -> Proposal:
    fields = {"faults": [], "changes": [], "blocked": [], "held_for": [], **more}
    return Proposal(org_id=UUID(int=9), organisation="x", as_of=NOW, **fields)


def test_a_plan_is_told_in_lines_and_in_markdown() -> None:
    now = in_force()
    wanted = policy(users("ada@x.y", "di@x.y") + "  budgets: {monthly_tokens: 525}\n")
    planned = plan(wanted, now)
    told = proposal(
        changes=list(planned.changes),
        blocked=list(blocked(wanted, now, USES)),
        held_for=list(holds(planned, now, follows=True)),
    )
    assert list(text(told, "f")) == [
        "~ spec.budgets.monthly_tokens: 1,000 -> 525",
        "+ spec.users[di@x.y]: none -> role: org-user",
        "- spec.users[bob@x.y]: role: org-user, status: active -> none",
        "- spec.users[cy@x.y]: role: org-user, status: active -> none",
        "! blocks everybody: the organisation has used 525 of 525 tokens this month",
        "! blocks bob@x.y: is removed, and their keys with them",
        "! blocks cy@x.y: is removed, and their keys with them",
        "! waits for a system admin: 2 of 3 members would be removed, which is more than half",
    ]
    page = "\n".join(markdown(told, "f"))
    assert "| `spec.budgets.monthly_tokens` | 1,000 | 525 |" in page
    assert "**Blocks now** (as of 2026-03-15 12:00 UTC):" in page
    assert "**Waits for a system admin**" in page


def test_nothing_of_a_file_breaks_out_of_the_markdown() -> None:
    evil = "</td>|`[x](javascript:1)`\n# @everyone <img src=x> https://evil.example WWW.evil.example"
    for told in (
        proposal(changes=[Change(evil, evil, [evil, {evil: evil}])]),
        proposal(faults=[Fault(1, 2, evil, evil)]),
    ):
        for each in markdown(told, evil):
            prose = re.sub("`[^`]*`", "", each)
            assert not set(prose) & {"<", "\n", "@", "`", "["}, each
            assert "://" not in prose, each
            assert "www." not in prose.lower(), each


def test_faults_and_nothing_are_told() -> None:
    assert list(text(proposal(), "f")) == ["nothing changes"]
    assert list(markdown(proposal(), "f"))[-1] == "Nothing changes."
    assert list(text(proposal(faults=[Fault(1, 2, "a", "b")]), "f")) == ["f:1:2: a: b"]
    assert "Blocks nobody now." in list(markdown(proposal(changes=[Change("a", 1, 2)]), "f"))


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "none"), (1000, "1,000"), ("", "(empty)"), ([], "(empty)"), ({"a": [1]}, "a: 1"), (1.5, "1.5")],
)
def test_values_are_told_for_people(value: object, shown: str) -> None:
    assert said(value) == shown

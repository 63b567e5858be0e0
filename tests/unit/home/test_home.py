"""What first pages say needs attention, and which steps they count as done."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import msgspec
import pytest

from ias.analytics.values import Part
from ias.billing.budgets.domain import Forecast
from ias.billing.values import Alert, BudgetStanding, MemberStanding
from ias.gitops.values import Binding, State
from ias.home.domain import Around, notices, platform_notices
from ias.home.steps import platform_steps, steps
from ias.identity.outline.domain import EndingKey
from ias.identity.values import Outline, PlatformOutline
from ias.vitals.findings import well, wrong

NOW = datetime(2026, 3, 10, tzinfo=UTC)
NO_END = Forecast(None, 100, None)
MEMBER = uuid4()
NOTHING = Outline(members=2, admins=1, keyless=0, invited=0, lapsed=0, keys=True, own_keys=True, ending=[])


def budget(used: int, limit: int | None, forecast: Forecast = NO_END) -> BudgetStanding:
    return BudgetStanding(
        monthly_tokens=limit,
        user_monthly_tokens=None,
        users={},
        period="202603",
        used_tokens=used,
        held_tokens=0,
        forecast=forecast,
    )


def around(**changes: object) -> Around:
    usual = {
        "base": "/orgs/o",
        "manages": True,
        "holds_keys": True,
        "outline": NOTHING,
        "budget": budget(1, 100),
        "own": None,
        "alerts": [],
        "called": {},
        "binding": None,
        "models": 1,
        "used": True,
    }
    return Around(**{**usual, **changes})


def binding(state: State, **changes: object) -> Binding:
    fields = {
        "org_id": uuid4(),
        "repository": "https://git.example/policies",
        "branch": "main",
        "path": "orgs/o/org.yaml",
        "state": state,
        "commit": "0123456789abcdef",
        "applied_commit": "",
        "applied_at": None,
        "applied_by": "",
        "lines": {},
        "fetched_at": NOW,
        "error": "",
        "faults": [],
        "held_for": [],
        "suspended": None,
        "expected": [],
        "enabled_by": "root",
        "enabled_at": NOW,
    }
    return Binding(**{**fields, **changes})


def said(about: Around) -> list[tuple[str, str]]:
    return [(notice.kind, notice.text) for notice in notices(about)]


def test_where_all_is_well_nothing_is_told() -> None:
    assert notices(around()) == ()
    assert all(step.done for step in steps(around()))


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"budget": budget(100, 100)}, "bad", "The organisation's budget is used up"),
        ({"budget": budget(50, 100, Forecast(date(2026, 3, 20), 150, None))}, "warn", "used up on 20 Mar"),
        ({"binding": binding(State.INVALID)}, "bad", "has 0 faults"),
        ({"binding": binding(State.HELD, held_for=["removes 3 members"])}, "warn", "01234567 waits for a system admin"),
        ({"binding": binding(State.MISSING)}, "bad", "orgs/o/org.yaml is not in the repository"),
        ({"binding": binding(State.IN_FORCE, error="no such host")}, "bad", "cannot be fetched: no such host"),
        ({"outline": msgspec.structs.replace(NOTHING, lapsed=1)}, "warn", "1 invite ran out"),
        ({"outline": msgspec.structs.replace(NOTHING, invited=2)}, "info", "2 invites not accepted yet"),
        ({"outline": msgspec.structs.replace(NOTHING, keyless=1)}, "info", "1 member has no key"),
        ({"outline": msgspec.structs.replace(NOTHING, admins=0)}, "warn", "Nobody administers"),
        ({"requests": 20, "failed": 1}, "warn", "1 of 20 requests"),
    ],
)
def test_an_admin_is_told_what_needs_attention(changes: dict[str, object], kind: str, text: str) -> None:
    [(found, told)] = said(around(**changes))
    assert found == kind
    assert text in told


def test_few_requests_say_little_and_no_limit_is_never_used_up() -> None:
    assert said(around(requests=19, failed=19, budget=budget(10**9, None))) == []
    assert said(around(budget=None)) == []


def alert(user: UUID | None, threshold: int) -> Alert:
    return Alert(
        id=uuid4(),
        scope="user" if user else "organisation",
        user_id=user,
        threshold=threshold,
        period="202603",
        used_tokens=1000,
        limit_tokens=1000,
        refused=False,
        raised_at=NOW,
        cleared_at=None,
        acknowledged_at=None,
        acknowledged_by=None,
    )


def test_alerts_name_whose_budget_it_is_and_the_worst_comes_first() -> None:
    alerts = [alert(user, threshold) for user, threshold in ((None, 80), (MEMBER, 100), (uuid4(), 90))]
    found = said(around(alerts=alerts, called={MEMBER: "ada@example.org"}))
    assert [kind for kind, _ in found] == ["bad", "warn", "warn"]
    assert "100 % of the budget of ada@example.org was reached: 1,000 of 1,000." in found[0][1]
    assert "the organisation" in found[1][1]
    assert "a member" in found[2][1]


def test_a_budget_that_is_used_up_is_told_of_once() -> None:
    assert [text for _, text in said(around(alerts=[alert(None, 100)], budget=budget(100, 100)))] == [
        "The organisation's budget is used up: requests are refused until the month ends or it is raised."
    ]
    [(_, text)] = said(around(alerts=[alert(None, 100)], budget=budget(100, 200)))
    assert text.startswith("100 % of the budget of the organisation was reached")


def test_a_user_is_told_of_their_own_and_not_what_only_admins_can_mend() -> None:
    own = MemberStanding(
        user_id=MEMBER, monthly_tokens=5, own=True, period="202603", used_tokens=5, held_tokens=0, forecast=NO_END
    )
    key = EndingKey(id=uuid4(), label="ci", owner="ada@example.org", expires_at=NOW + timedelta(days=1))
    outline = msgspec.structs.replace(NOTHING, keyless=3, invited=3, ending=[key])
    about = around(manages=False, own=own, outline=outline, binding=binding(State.MISSING))
    assert [text for _, text in said(about)] == [
        "Your own budget is used up: requests are refused until the month ends or it is raised.",
        "The key “ci” of ada@example.org ends soon.",
    ]
    assert [step.title for step in steps(about)] == ["Make an API key", "Send the first request"]


def test_steps_say_where_they_are_done_to_whoever_may_do_them() -> None:
    outline = msgspec.structs.replace(NOTHING, members=1, keys=False, own_keys=False)
    new = around(outline=outline, budget=budget(0, None), used=False, models=0)
    assert [step.done for step in steps(new)] == [False] * 5
    assert [step.href for step in steps(new)] == [
        "",
        "/orgs/o/budget",
        "/orgs/o/members/invite",
        "/orgs/o/keys/new",
        "",
    ]
    of_system_admin = msgspec.structs.replace(new, holds_keys=False)
    assert "/orgs/o/keys/new" not in [step.href for step in steps(of_system_admin)]


def test_the_platform_tells_of_what_is_wrong_of_silent_replicas_and_failing_models() -> None:
    findings = [well("gateways", "running", "two"), wrong("check", "age", "never checked", "start a worker")]
    models = [
        Part(model="bad", requests=100, failed=5),
        Part(model="good", requests=100, failed=4),
        Part(model="rare", requests=2, failed=2),
    ]
    found = platform_notices(findings, {"m": ["http://a", "http://b"]}, {"http://b": NOW}, models)
    assert [notice.text for notice in found] == [
        "check, age: never checked. To mend it: start a worker.",
        "http://b of m is not seen by gateways any more.",
        "bad: 5 of 100 requests of this month failed.",
    ]
    assert found[1].moment == NOW


def test_the_steps_of_a_platform_follow_what_is_there() -> None:
    nothing = PlatformOutline(organisations=0, suspended=0, admins=False)
    assert not any(step.done for step in platform_steps(nothing, 0, 0, used=False))
    something = PlatformOutline(organisations=1, suspended=0, admins=True)
    assert all(step.done for step in platform_steps(something, 1, 1, used=True))

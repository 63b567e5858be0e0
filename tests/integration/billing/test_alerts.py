"""Alerts out of what Redis really counted, by any number of watches, and through the API."""

import asyncio
from uuid import UUID, uuid4

import asyncpg
import pytest

from ias.billing.doors import Watch
from ias.billing.policies.projection import project_policy
from ias.contract.admission import Admitted, OverBudget, text
from ias.contract.answers import NO_RATE
from ias.db import EVERYWHERE, Within, transaction, uuid7
from ias.identity import Tenant
from tests.integration.billing.doors import problem
from tests.integration.billing.ground import Ground, Org
from tests.product import people
from tests.product.people import Person, new_org

pytestmark = pytest.mark.alike

Seen = tuple[str, int, int, int]
"""Whose budget, threshold, amount, use."""


async def give(ground: Ground, org: Org, tokens: int | None, user_tokens: int | None = None) -> None:
    """Give an organisation a budget, as the API does."""
    await ground.owner.execute(
        """INSERT INTO billing.budgets (org_id, monthly_tokens, user_monthly_tokens) VALUES ($1, $2, $3)
        ON CONFLICT (org_id) DO UPDATE SET monthly_tokens = $2, user_monthly_tokens = $3, updated_at = now()""",
        *(org.id, tokens, user_tokens),
    )
    await project_policy(Tenant(org.id, org.tag), ground.edge)


async def use(org: Org, tokens: int) -> None:
    """Settle a request that Redis knows nothing of, so that no budget stands in its way."""
    period = text((await org.edge.standing(org.tag, ""))[0])
    admitted = Admitted(str(org.id), str(org.user), str(org.key), b"", period, 0, 0, NO_RATE, NO_RATE)
    await org.settle(str(uuid7()), (tokens, 0, 0), admitted)


async def alerts(ground: Ground, org: Org, *, holding: bool = False) -> list[Seen]:
    """An organisation's alerts, oldest first."""
    rows = await ground.owner.fetch(
        """SELECT user_id, threshold, limit_tokens, used_tokens FROM billing.alerts
        WHERE org_id = $1 AND (cleared_at IS NULL OR NOT $2) ORDER BY user_id NULLS FIRST, id""",
        *(org.id, holding),
    )
    return [("org" if row[0] is None else str(row[0]), *row[1:]) for row in rows]


async def test_each_threshold_is_told_once_as_the_use_passes_it(ground: Ground, org: Org) -> None:
    await give(ground, org, 1000)
    watch, told = Watch(ground.edge), []
    for tokens in (790, 10, 50, 50, 99, 1, 500):
        await use(org, tokens)
        await watch.look()
        told.append(len(await alerts(ground, org)))

    assert told == [0, 1, 1, 2, 2, 3, 3]
    assert await alerts(ground, org) == [
        ("org", 80, 1000, 800),
        ("org", 90, 1000, 900),
        ("org", 100, 1000, 1000),
    ]


async def test_many_watches_at_once_double_nothing(ground: Ground) -> None:
    orgs = [await ground.organisation() for _ in range(5)]
    for org in orgs:
        await give(ground, org, 100, user_tokens=50)
        await use(org, 100)

    await asyncio.gather(*(Watch(ground.edge).look() for _ in range(4)))
    await Watch(ground.edge).look()

    for org in orgs:
        told = await alerts(ground, org)
        assert [(who, threshold) for who, threshold, *_ in told] == [
            (who, threshold) for who in ("org", str(org.user)) for threshold in (80, 90, 100)
        ]


async def test_a_budget_lowered_below_the_use_is_told_and_one_raised_again_clears_and_rearms(
    ground: Ground, org: Org
) -> None:
    watch = Watch(ground.edge)
    await use(org, 850)
    await watch.look()
    assert await alerts(ground, org) == []

    await give(ground, org, 1000)
    await watch.look()
    assert await alerts(ground, org) == [("org", 80, 1000, 850)]

    await give(ground, org, 900)
    await watch.look()
    assert await alerts(ground, org) == [("org", 80, 1000, 850), ("org", 90, 900, 850)]

    await give(ground, org, 2000)
    await watch.look()
    assert await alerts(ground, org, holding=True) == []

    await use(org, 750)
    await watch.look()
    await Watch(ground.edge).look()
    assert await alerts(ground, org, holding=True) == [("org", 80, 2000, 1600)]
    assert len(await alerts(ground, org)) == 3


async def test_members_are_told_apart_and_only_those_who_have_a_budget(ground: Ground, org: Org) -> None:
    await ground.owner.execute(
        "INSERT INTO billing.user_budgets (org_id, user_id, monthly_tokens) VALUES ($1, $2, 10), ($1, $3, 10)",
        *(org.id, org.user, uuid7()),
    )
    await give(ground, org, None)
    await use(org, 9)

    await Watch(ground.edge).look()

    assert await alerts(ground, org) == [(str(org.user), 80, 10, 9), (str(org.user), 90, 10, 9)]


async def test_members_of_a_large_organisation_are_read_page_by_page(ground: Ground, org: Org) -> None:
    await give(ground, org, None, user_tokens=100)
    await use(org, 1)
    [month] = await ground.edge.redis.keys(f"{{o:{org.tag}}}:bud:*")
    users = {str(uuid7()): 100 if number % 100 == 0 else 10 for number in range(5000)}
    await ground.edge.redis.hset(month, mapping={f"u:{user}": used for user, used in users.items()})
    await use(org, 1)

    await Watch(ground.edge).look()

    told = await alerts(ground, org)
    assert {who for who, *_ in told} == {user for user, used in users.items() if used == 100}
    assert len(told) == 3 * 50


async def test_a_refusal_when_hardly_anything_is_left_is_told_as_the_end(ground: Ground, org: Org) -> None:
    await give(ground, org, 1000, user_tokens=2000)
    await use(org, 980)
    watch = Watch(ground.edge)
    await watch.look()
    assert [threshold for _, threshold, *_ in await alerts(ground, org)] == [80, 90]

    _, refused = await org.reserve()
    await watch.look()

    assert isinstance(refused, OverBudget)
    assert (await alerts(ground, org))[2:] == [("org", 100, 1000, 980)]
    assert await ground.value("SELECT refused FROM billing.alerts WHERE org_id = $1 AND threshold = 100", org.id)


async def test_a_refusal_that_is_owed_to_what_others_hold_is_not_the_end(ground: Ground, org: Org) -> None:
    await give(ground, org, 1000)
    await use(org, 900)
    _, admitted = await org.reserve(output=80)
    _, refused = await org.reserve()
    await Watch(ground.edge).look()

    assert isinstance(admitted, Admitted)
    assert isinstance(refused, OverBudget)
    assert [threshold for _, threshold, *_ in await alerts(ground, org)] == [80, 90]


async def test_a_member_who_is_refused_is_told_though_nothing_was_used_meanwhile(ground: Ground, org: Org) -> None:
    await give(ground, org, None, user_tokens=1000)
    await use(org, 990)
    watch = Watch(ground.edge)
    await watch.look()

    _, refused = await org.reserve()
    await watch.look()

    assert isinstance(refused, OverBudget)
    assert [threshold for _, threshold, *_ in await alerts(ground, org)] == [80, 90, 100]


async def test_an_organisation_that_is_not_projected_whole_is_left_alone(ground: Ground, org: Org) -> None:
    await give(ground, org, 10)
    await use(org, 10)
    await ground.edge.redis.hdel(f"{{o:{org.tag}}}:v", "complete")

    await Watch(ground.edge).look()

    assert await alerts(ground, org) == []


async def test_rows_are_kept_apart_and_what_they_say_cannot_be_changed(ground: Ground, org: Org) -> None:
    other = await ground.organisation()
    for each in (org, other):
        await give(ground, each, 10)
        await use(each, 10)
    await Watch(ground.edge).look()

    async with transaction(Within(org.id)) as connection:
        assert {row[0] for row in await connection.fetch("SELECT org_id FROM billing.alerts")} == {org.id}
    for sql in ("UPDATE billing.alerts SET used_tokens = 0", "DELETE FROM billing.alerts"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with transaction(EVERYWHERE) as connection:
                await connection.execute(sql)


class Team:
    """An organisation made through the API, whose use is made by hand."""

    def __init__(self, ground: Ground, org: people.Org) -> None:
        self.ground, self.org, self.at = ground, org, f"/organizations/{org.id}"
        self.users = {item["role"]: UUID(item["id"]) for item in org.admin.get("/users")["items"]}

    async def use(self, role: str, tokens: int) -> None:
        tag = await self.ground.value("SELECT tag FROM identity.organizations WHERE id = $1", self.org.id)
        [period] = [part.decode() for part in (await self.ground.edge.standing(str(tag), ""))[:1]]
        month, user = f"{{o:{tag}}}:bud:{period}", self.users[role]
        await self.ground.edge.redis.hincrby(month, "used", tokens)
        await self.ground.edge.redis.hincrby(month, f"u:{user}", tokens)
        await Watch(self.ground.edge).look()

    def told(self, person: Person, **query: str) -> list[tuple[str, int]]:
        return [(item["scope"], item["threshold"]) for item in person.get(f"{self.at}/alerts", **query)["items"]]


@pytest.fixture
def made(ground: Ground, team: people.Org, root: Person) -> Team:
    """With a budget of 1000 tokens, and 100 for each member."""
    root.api.patch(f"/organizations/{team.id}/budget", json={"monthly_tokens": 1000, "user_monthly_tokens": 100})
    return Team(ground, team)


async def test_members_see_the_organisations_alerts_and_their_own_and_admins_all(made: Team, root: Person) -> None:
    await made.use("org-user", 80)
    await made.use("org-admin", 720)

    of_admin = [("user", 100), ("user", 90), ("user", 80)]
    everything = {("organisation", 80), *of_admin}
    assert set(made.told(made.org.admin)) == set(made.told(root)) == everything
    assert len(made.told(made.org.admin)) == 5
    assert sorted(made.told(made.org.user)) == [("organisation", 80), ("user", 80)]
    [alert] = [item for item in made.org.user.get(f"{made.at}/alerts")["items"] if item["scope"] == "organisation"]
    assert (alert["used_tokens"], alert["limit_tokens"], alert["user_id"], alert["refused"]) == (800, 1000, None, False)
    assert (alert["cleared_at"], alert["acknowledged_at"]) == (None, None)
    assert made.told(root, period=alert["period"]) == made.told(root)
    assert made.told(root, period="202001") == []


async def test_the_alerts_of_a_member_who_is_removed_are_over_and_no_more_are_raised(
    made: Team, ground: Ground
) -> None:
    watch, user = Watch(ground.edge), made.users["org-user"]
    await made.use("org-user", 80)
    await made.use("org-admin", 85)
    await watch.look()

    made.org.admin.api.delete(f"/users/{user}").raise_for_status()
    await watch.look()

    items = made.org.admin.get(f"{made.at}/alerts")["items"]
    over = {UUID(item["user_id"]): item["cleared_at"] is not None for item in items}
    assert over == {user: True, made.users["org-admin"]: False}
    await made.use("org-user", 20)
    await watch.look()
    assert len(made.told(made.org.admin)) == len(items)


async def test_alerts_come_newest_first_page_by_page(made: Team) -> None:
    await made.use("org-admin", 80)
    await made.use("org-admin", 20)
    pages, cursor = [], {}
    while True:
        page = made.org.admin.get(f"{made.at}/alerts", limit="2", **cursor)
        pages.append([item["threshold"] for item in page["items"]])
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert [sorted(page) for page in pages] == [[90, 100], [80]]
    problem(made.org.admin.api.get(f"{made.at}/alerts", params={"cursor": "forged"}), 400)
    problem(made.org.admin.api.get(f"{made.at}/alerts", params={"limit": "-1"}), 400)
    problem(made.org.admin.api.get(f"{made.at}/alerts", params={"period": "2026-01"}), 400)


async def test_new_thresholds_are_looked_at_at_once_and_audited(made: Team, ground: Ground) -> None:
    where = f"{made.at}/alert-thresholds"
    assert made.org.user.get(where)["thresholds"] == [80, 90, 100]
    await made.use("org-user", 55)

    made.org.admin.api.put(where, json={"thresholds": [60, 50]}).raise_for_status()
    watch = Watch(ground.edge)
    await watch.look()

    assert made.org.user.get(where)["thresholds"] == [50, 60]
    assert made.told(made.org.admin) == [("user", 50)]
    log = await ground.rows(
        """SELECT before::text, after::text FROM identity.audit_log
        WHERE action = 'alert_thresholds.changed' AND org_id = $1""",
        UUID(made.org.id),
    )
    assert log == [('{"thresholds": [80, 90, 100]}', '{"thresholds": [50, 60]}')]


@pytest.mark.parametrize("asked", [[], [0], [101], [80, 80], [1.5], list(range(1, 12)), "80", None, [True]])
def test_thresholds_that_mean_nothing_are_refused(made: Team, asked: object) -> None:
    problem(made.org.admin.api.put(f"{made.at}/alert-thresholds", json={"thresholds": asked}), 400)


async def test_an_alert_is_acknowledged_once_and_that_is_audited(made: Team, root: Person, ground: Ground) -> None:
    await made.use("org-user", 80)
    [alert] = made.org.admin.get(f"{made.at}/alerts")["items"]
    where = f"{made.at}/alerts/{alert['id']}/acknowledge"

    problem(made.org.user.api.post(where), 403)
    first = made.org.admin.post(where)
    again = root.post(where)

    assert first == again
    assert first["acknowledged_by"] == str(made.users["org-admin"])
    assert await ground.value("SELECT count(*) FROM identity.audit_log WHERE target_id::text = $1", alert["id"]) == 1


async def test_an_alert_of_an_organisation_that_was_removed_is_read_and_acknowledged_no_more(
    made: Team, root: Person
) -> None:
    await made.use("org-user", 80)
    [alert] = made.org.admin.get(f"{made.at}/alerts")["items"]
    root.api.delete(made.at).raise_for_status()

    problem(root.api.post(f"{made.at}/alerts/{alert['id']}/acknowledge"), 404)
    assert root.get(f"{made.at}/alerts")["items"] == [alert]


async def test_another_organisations_alerts_are_not_there(made: Team, root: Person) -> None:
    await made.use("org-user", 80)
    [alert] = made.org.admin.get(f"{made.at}/alerts")["items"]
    other = new_org(root, f"other-{uuid4().hex}")

    for path in ("alerts", "alert-thresholds"):
        problem(other.admin.api.get(f"{made.at}/{path}"), 404)
        problem(root.api.get(f"/organizations/{uuid4()}/{path}"), 404)
    problem(other.admin.api.put(f"{made.at}/alert-thresholds", json={"thresholds": [1]}), 404)
    problem(other.admin.api.post(f"{made.at}/alerts/{alert['id']}/acknowledge"), 404)
    problem(other.admin.api.post(f"/organizations/{other.id}/alerts/{alert['id']}/acknowledge"), 404)
    problem(made.org.user.api.put(f"{made.at}/alert-thresholds", json={"thresholds": [1]}), 403)

"""Budgets through the API: what is used stays used, and where the month goes."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest

from ias.analytics.doors import INTAKE
from ias.billing.budgets.domain import forecast, month_of
from ias.contract import admission, keys
from ias.contract.admission import Admitted, Ask, Command, OverBudget, text
from ias.contract.usage import UsageRecorded
from ias.db import uuid7
from ias.intake import take_in
from tests.integration.billing.doors import model_name, problem, tag_of
from tests.integration.billing.ground import Ground
from tests.integration.billing.test_ledger import events
from tests.product.people import Org, Person, new_org

pytestmark = pytest.mark.alike

BACKENDS = [{"url": "http://engine.example:8000"}]


class Caller:
    """A member with a key, as a gateway serves them."""

    def __init__(self, ground: Ground, token: str, model: str) -> None:
        self.ground, self.token, self.model = ground, token, model

    async def ask(self, output: int = 100) -> tuple[str, Admitted | admission.Refused]:
        request_id, ask = str(uuid7()), Ask(self.model, 10, 1, output, "chat", False)
        command = admission.reserve(
            tag_of(self.token), keys.fingerprint(self.token), request_id, ask, ("gateway-1", 30)
        )
        return request_id, admission.read_reserve(await self.ground.edge.call(command))

    async def use(self, tokens: int) -> None:
        request_id, admitted = await self.ask(1)
        assert isinstance(admitted, Admitted), admitted
        await self.ground.edge.call(self._settle(request_id, tokens, admitted))

    async def limits(self) -> dict[str, tuple[int, int]]:
        """What `/v1/usage/limits` says of budgets: limit and used, by scope."""
        reply = await self.ground.edge.call(admission.limits(tag_of(self.token), keys.fingerprint(self.token)))
        found = admission.read_limits(reply)
        assert isinstance(found, tuple)
        return {each.scope: (each.limit, each.used) for each in found[-1] if each.kind == "budget"}

    def _settle(self, request_id: str, tokens: int, admitted: Admitted) -> Command:
        facts = b"{}"
        command = admission.settle(tag_of(self.token), request_id, (tokens, 0, 0), ("completed", False), facts)
        return (*command, *admission.holder_of(admitted, "gateway-1"))


@pytest.fixture
def caller(ground: Ground, root: Person, team: Org) -> Caller:
    name = model_name()
    root.post("/models", {"name": name, "backends": BACKENDS})
    return Caller(ground, team.user.issue_key()["token"], name)


def ids(team: Org) -> dict[str, UUID]:
    return {item["role"]: UUID(item["id"]) for item in team.admin.get("/users")["items"]}


async def test_budgets_change_at_any_time_and_what_is_used_stays_used(root: Person, team: Org, caller: Caller) -> None:
    at = f"/organizations/{team.id}/budget"
    mine = f"/organizations/{team.id}/users/{ids(team)['org-user']}/budget"
    await caller.use(500)
    for amount in (600, 5_000, 510, None, 700):
        told = root.api.patch(at, json={"monthly_tokens": amount}).raise_for_status().json()
        assert (told["monthly_tokens"], told["used_tokens"]) == (amount, 500)
        assert (await caller.limits())["organisation"] == (-1 if amount is None else amount, 500)
    for amount in (400, 1_000, None, 550):
        team.admin.api.put(mine, json={"monthly_tokens": amount}).raise_for_status()
        seen = team.user.get(mine)
        assert (seen["monthly_tokens"], seen["own"], seen["used_tokens"]) == (amount, True, 500)
        assert (await caller.limits())["user"] == (-1 if amount is None else amount, 500)

    _, refused = await caller.ask(output=100)
    assert isinstance(refused, Admitted)
    assert refused.output == 40
    _, none_left = await caller.ask()
    assert isinstance(none_left, OverBudget)
    assert (none_left.scope, none_left.limit, none_left.used, none_left.held) == ("user", 550, 500, 50)


def test_a_member_without_a_budget_has_the_one_of_every_member(root: Person, team: Org) -> None:
    root.api.patch(f"/organizations/{team.id}/budget", json={"user_monthly_tokens": 77}).raise_for_status()

    seen = team.user.get(f"/organizations/{team.id}/users/{ids(team)['org-user']}/budget")

    assert (seen["monthly_tokens"], seen["own"], seen["used_tokens"], seen["held_tokens"]) == (77, False, 0, 0)


def test_members_see_their_own_budget_and_admins_those_of_their_organisation(root: Person, team: Org) -> None:
    other = new_org(root, f"other-{uuid4().hex}")
    users = ids(team)

    def read(person: Person, user: object) -> httpx.Response:
        return person.api.get(f"/organizations/{team.id}/users/{user}/budget")

    assert read(team.admin, users["org-user"]).status_code == 200
    assert read(root, users["org-user"]).status_code == 200
    for person, user in (
        (team.user, users["org-admin"]),
        (other.admin, users["org-user"]),
        (team.admin, uuid4()),
        (team.admin, ids(other)["org-user"]),
    ):
        problem(read(person, user), 404)


def test_members_see_who_has_a_budget_of_their_own_only_where_it_is_theirs(team: Org) -> None:
    at, users = f"/organizations/{team.id}", ids(team)
    budgets = {str(users["org-admin"]): 123_456, str(users["org-user"]): 7}
    for user_id, tokens in budgets.items():
        team.admin.api.put(f"{at}/users/{user_id}/budget", json={"monthly_tokens": tokens}).raise_for_status()

    assert team.admin.get(f"{at}/budget")["users"] == budgets
    assert team.user.get(f"{at}/budget")["users"] == {str(users["org-user"]): 7}


def test_who_was_removed_has_no_budget_of_their_own_any_more(team: Org) -> None:
    at, users = f"/organizations/{team.id}", ids(team)
    for user_id in users.values():
        team.admin.api.put(f"{at}/users/{user_id}/budget", json={"monthly_tokens": 7}).raise_for_status()

    team.admin.api.delete(f"/users/{users['org-user']}").raise_for_status()

    assert team.admin.get(f"{at}/budget")["users"] == {str(users["org-admin"]): 7}


async def test_a_members_budget_is_changed_only_as_it_was_seen_and_use_changes_no_etag(
    root: Person, team: Org, caller: Caller
) -> None:
    mine = f"/organizations/{team.id}/users/{ids(team)['org-user']}/budget"

    def put(person: Person, tokens: int | None, if_match: str) -> httpx.Response:
        return person.api.put(mine, json={"monthly_tokens": tokens}, headers={"if-match": if_match})

    as_every_member = team.admin.api.get(mine).headers["etag"]
    await caller.use(5)
    assert team.admin.api.get(mine).headers["etag"] == as_every_member

    own = put(root, 777, as_every_member)
    assert own.status_code == 200
    assert own.headers["etag"] == team.admin.api.get(mine).headers["etag"] != as_every_member
    problem(put(team.admin, 5, as_every_member), 412)
    assert team.user.get(mine)["monthly_tokens"] == 777
    assert put(team.admin, 5, own.headers["etag"]).status_code == 200


def test_a_budget_of_their_own_is_another_state_than_as_much_as_every_member(team: Org) -> None:
    at = f"/organizations/{team.id}/users/{ids(team)['org-user']}/budget"
    seen = team.admin.api.get(at)
    team.admin.api.put(at, json={"monthly_tokens": seen.json()["monthly_tokens"]}).raise_for_status()
    told = team.admin.api.put(at, json={"monthly_tokens": 5}, headers={"if-match": seen.headers["etag"]})
    problem(told, 412)


async def days(ground: Ground, team: Org, user: UUID, tokens: Mapping[date, int]) -> None:
    """Let analytics know what a member used on each day."""
    who = await ground.organisation()
    who.id, who.user = UUID(team.id), user
    batch: list[UsageRecorded] = []
    for day, used in tokens.items():
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
        cached = {"cached_tokens": 0, "completion_tokens": 0, "prompt_tokens": used}
        batch += events(who, 1, period=f"{day:%Y%m}", started_at=noon, settled_at=noon, **cached)
    await take_in(INTAKE, batch)


async def test_the_forecast_rests_on_the_days_of_this_month_of_the_organisation_or_of_the_member(
    ground: Ground, root: Person, team: Org, caller: Caller
) -> None:
    seconds = int(text((await ground.edge.standing(tag_of(caller.token), ""))[1]))
    now, users = datetime.fromtimestamp(seconds, UTC), ids(team)
    today, first = now.date(), month_of(now)[0].date()
    so_far = [first + timedelta(days=age) for age in range(today.day - 1)]
    of_user, of_admin = dict.fromkeys(so_far, 100), dict.fromkeys(so_far, 1000)
    await days(ground, team, users["org-user"], of_user)
    await days(ground, team, users["org-admin"], of_admin | {first - timedelta(days=1): 10**9})
    both = dict.fromkeys(so_far, 1100)
    used = 100 * len(so_far)
    await caller.use(used + 50)
    root.api.patch(f"/organizations/{team.id}/budget", json={"monthly_tokens": 2000, "user_monthly_tokens": 1})

    whole = team.admin.get(f"/organizations/{team.id}/budget")["forecast"]
    mine = team.user.get(f"/organizations/{team.id}/users/{users['org-user']}/budget")["forecast"]

    by_hand = forecast(both, used + 50, 2000, now), forecast(of_user, used + 50, 1, now)
    for told, expected in zip((whole, mine), by_hand, strict=True):
        assert told["ends_on"] == (None if expected.ends_on is None else expected.ends_on.isoformat())
        assert (told["basis"] is None) == (expected.basis is None)
        if told["basis"] is not None and expected.basis is not None:
            assert told["basis"]["since"] == expected.basis.since.isoformat()
            assert told["basis"]["tokens"] == expected.basis.tokens
    assert mine["ends_on"] is not None

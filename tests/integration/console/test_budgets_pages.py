"""Budgets, limits, models and alerts on pages: read by everybody, changed by admins, locked where Git manages them."""

from uuid import uuid4

import asyncpg
import httpx
import msgspec
import pytest
from redis import Redis

from ias.telemetry import now
from tests.integration.console.browser import Browser
from tests.integration.console.conftest import Visiting
from tests.integration.identity.conftest import Api, Org, good

BACKEND = {"url": "https://engine.example.com"}
MANAGED = {
    "repository": "https://git.example.org/policies.git",
    "branch": "main",
    "path": "orgs/acme/org.yaml",
    "lines": {"budgets": 12, "users": 20, "rate_limits": 31, "allowed_models": 37, "alert_thresholds": 41},
}


@pytest.fixture
def model(root: httpx.Client) -> str:
    """A model that is registered."""
    return good(root.post("/models", json={"name": f"m-{uuid4().hex}", "backends": [BACKEND]}))["name"]


def use(api: Api, org: Org, tokens: int, user_id: str = "") -> None:
    """Let the gateways have counted this much, as they count it."""
    with Redis.from_url(api.env["IAS_REDIS_URL"]) as redis:
        month = f"{{o:{org.tag}}}:bud:{now():%Y%m}"
        redis.hincrby(month, "used", tokens)
        if user_id:
            redis.hincrby(month, f"u:{user_id}", tokens)


async def spent(database_url: str, org: Org, user_id: str, model: str, tokens: int) -> None:
    """Let the ledger have this much of a member."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO billing.spend (period, org_id, user_id, key_id, model, requests, prompt_tokens, completion_tokens,"
        " cached_tokens, cost) VALUES ($1, $2, $3, $4, $5, 7, $6, 0, 0, 1.25)",
        *(f"{now():%Y%m}", org.id, user_id, str(uuid4()), model, tokens),
    )
    await connection.close()


async def test_a_budget_is_set_seen_filling_and_lowered_only_after_it_was_said_whom_that_stops(
    api: Api, org: Org, visiting: Visiting, database_url: str
) -> None:
    await spent(database_url, org, org.user.id, "mock", 600_000)
    use(api, org, 600_000, org.user.id)
    admin = visiting(org.admin)
    admin.open(f"/orgs/{org.id}")
    admin.follow("Budget and limits")
    assert "600k of 1M tokens used, 60 %" in admin.page.text
    [bar] = [each for each in admin.page.all("svg", role="img") if "600,000" in each.attrs["aria-label"]]
    assert bar.attrs["aria-label"] == "This month: 600,000 of 1,000,000 tokens used"
    admin.press("Save", monthly_tokens="-1")
    assert admin.status == 400
    assert admin.page.one("p", id="f-monthly_tokens-fault").text
    admin.press("Save", monthly_tokens="1000001")
    assert admin.status == 403
    assert "the platform gave 1000000" in admin.page.one("p", id="f-monthly_tokens-fault").text
    admin.press("Save", monthly_tokens="500000", user_monthly_tokens="600000")
    assert "every request is refused at once" in admin.page.text
    assert org.user.email in admin.page.text
    assert good(org.admin.client.get(f"/organizations/{org.id}/budget"))["monthly_tokens"] == 1_000_000
    admin.press("Lower it")
    assert "The budget is set" in admin.page.text
    assert "used up" in admin.page.text
    now_in_force = good(org.admin.client.get(f"/organizations/{org.id}/budget"))
    assert (now_in_force["monthly_tokens"], now_in_force["user_monthly_tokens"]) == (500_000, 600_000)
    # Whoever is stopped already is not named again.
    admin.press("Save", monthly_tokens="400000", user_monthly_tokens="")
    assert "The budget is set" in admin.page.text


def test_a_budget_that_a_system_admin_leaves_as_it_is_stays_given_as_it_was(
    api: Api, org: Org, root: httpx.Client, operator: Browser
) -> None:
    at, page = f"/organizations/{org.id}/budget", f"/orgs/{org.id}/budget"
    good(root.patch(at, json={"monthly_tokens": 10_000_000}))
    good(org.admin.client.patch(at, json={"monthly_tokens": 1_000_000}))
    use(api, org, 6_000)
    operator.open(page)
    assert "The platform gave 10,000,000." in operator.page.one("p", id="f-monthly_tokens-help").text
    operator.press("Save", user_monthly_tokens="5000")
    assert "The budget is set" in operator.page.text
    good(org.admin.client.patch(at, json={"monthly_tokens": 5_000_000}))
    operator.open(page)
    operator.press("Save", monthly_tokens="5000")
    assert "every request is refused at once" in operator.page.text
    operator.press("Lower it")
    seen = good(org.admin.client.get(at))
    assert (seen["monthly_tokens"], seen["user_monthly_tokens"]) == (5000, 5000)
    assert org.admin.client.patch(at, json={"monthly_tokens": 5001}).status_code == 403


def test_what_the_platform_gave_stands_beside_limits_and_models(
    org: Org, visiting: Visiting, root: httpx.Client, operator: Browser, model: str
) -> None:
    at = f"/organizations/{org.id}"
    good(root.put(f"{at}/limits", json={"requests_per_second": 700}))
    good(root.put(f"{at}/allowed-models", json={"models": [model]}))
    good(org.admin.client.put(f"{at}/limits", json={"requests_per_second": 10}))
    good(org.admin.client.put(f"{at}/allowed-models", json={"models": []}))
    for browser in (visiting(org.admin), operator):
        browser.open(f"/orgs/{org.id}/budget/limits")
        assert "The platform gave 700." in browser.page.one("p", id="f-requests_per_second-help").text
    assert f"may choose among: {model}" in operator.open(f"/orgs/{org.id}/budget/models").text
    operator.press("Save the models", every="yes")
    assert "may choose among: every model" in operator.page.text


def test_every_model_is_asked_for_only_where_the_platform_gave_every_model(
    org: Org, visiting: Visiting, root: httpx.Client, operator: Browser, model: str
) -> None:
    page = f"/orgs/{org.id}/budget/models"
    admin = visiting(org.admin)
    assert admin.open(page).all("input", name="every")
    good(root.put(f"/organizations/{org.id}/allowed-models", json={"models": [model]}))
    assert not admin.open(page).all("input", name="every")
    assert "These are the models that the platform gave." in admin.page.text
    admin.press("Save the models", models=model)
    assert "The models are set" in admin.page.text
    assert operator.open(page).all("input", name="every")


def test_a_member_is_given_a_budget_of_their_own_and_it_stands_in_every_list(
    api: Api, org: Org, visiting: Visiting
) -> None:
    use(api, org, 30_000, org.user.id)
    admin = visiting(org.admin)
    admin.open(f"/orgs/{org.id}/members/{org.user.id}")
    admin.follow("Change the budget")
    assert "30,000 tokens used this month; there is no budget" in admin.page.text
    admin.press("Save", monthly_tokens="many")
    assert admin.status == 400
    assert admin.page.one("input", name="monthly_tokens").attrs["value"] == "many"
    admin.press("Save", monthly_tokens="123456")
    assert admin.path == f"/orgs/{org.id}/members/{org.user.id}"
    assert "123,456 tokens a month, their own" in admin.page.text
    assert "of 123k, own" in admin.open(f"/orgs/{org.id}/members").text
    assert "123,456" in admin.open(f"/orgs/{org.id}/budget").one("section", aria_labelledby="own-title").text
    user = visiting(org.user)
    user.open(f"/orgs/{org.id}/budget")
    assert "Your own budget 30k of 123k tokens used, 24 %" in user.page.text
    assert not [form for form in user.page.all("form") if "/budget" in form.attrs.get("action", "")]


async def test_who_was_removed_is_neither_listed_nor_named_among_those_who_are_stopped(
    org: Org, visiting: Visiting, database_url: str
) -> None:
    at = f"/organizations/{org.id}"
    for member in (org.user, org.other):
        await spent(database_url, org, member.id, "mock", 600)
    good(org.admin.client.put(f"{at}/users/{org.user.id}/budget", json={"monthly_tokens": 7}))
    good(org.admin.client.delete(f"/users/{org.user.id}"))
    admin = visiting(org.admin)
    page = admin.open(f"/orgs/{org.id}/budget").text
    assert (org.user.email in page, "Nobody has one" in page) == (False, True)
    page = admin.press("Save", user_monthly_tokens="500").text
    assert "One member has used 500 tokens or more this month" in page
    assert (org.other.email in page, org.user.email in page) == (True, False)


def test_a_members_budget_that_was_changed_meanwhile_is_not_written_over(org: Org, visiting: Visiting) -> None:
    at, admin = f"/organizations/{org.id}/users/{org.user.id}/budget", visiting(org.admin)
    admin.open(f"/orgs/{org.id}/members/{org.user.id}/budget")
    good(org.admin.client.put(at, json={"monthly_tokens": 777}))
    admin.press("Save", monthly_tokens="5")
    assert admin.status == 412
    assert "Somebody changed it after you opened the page" in admin.page.text
    assert good(org.admin.client.get(at))["monthly_tokens"] == 777
    admin.open(f"/orgs/{org.id}/members/{org.user.id}/budget")
    admin.press("Save", monthly_tokens="5")
    assert good(org.admin.client.get(at))["monthly_tokens"] == 5


def test_limits_are_changed_with_what_is_wrong_beside_and_none_where_empty(org: Org, visiting: Visiting) -> None:
    admin = visiting(org.admin)
    admin.open(f"/orgs/{org.id}/budget/limits")
    admin.press("Save the limits", requests_per_second="5000", burst="5000")
    assert admin.status == 403
    assert "may be 1000 at most" in admin.page.one("p", id="f-requests_per_second-fault").text
    admin.press("Save the limits", requests_per_second="20", burst="10")
    assert admin.status == 400
    assert "must be at least requests_per_second (20)" in admin.page.one("p", id="f-burst-fault").text
    assert admin.page.one("input", name="burst").attrs["value"] == "10"
    admin.press("Save the limits", concurrency="0")
    assert admin.page.one("p", id="f-concurrency-fault").text
    admin.press("Save the limits", requests_per_second="20", burst="40", concurrency="3", max_output_tokens="")
    assert "The limits are set" in admin.page.text
    found = good(org.admin.client.get(f"/organizations/{org.id}/limits"))
    assert (found["requests_per_second"], found["burst"], found["concurrency"]) == (20, 40, 3)
    assert (found["user_burst"], found["max_output_tokens"]) == (1000, None)
    user = visiting(org.user)
    user.open(f"/orgs/{org.id}/budget/limits")
    assert "Requests a second 20 500" in user.page.text
    assert "Save" not in user.page.text


def test_models_are_allowed_by_ticking_them(org: Org, visiting: Visiting, model: str) -> None:
    admin = visiting(org.admin)
    path = f"/organizations/{org.id}/allowed-models"
    admin.open(f"/orgs/{org.id}/budget/models")
    assert model in admin.page.text
    admin.press("Save the models", every=[], models=[model])
    assert good(org.admin.client.get(path))["models"] == [model]
    admin.press("Save the models", models=["gone"])
    assert admin.status == 400
    admin.press("Save the models", models=[])
    assert good(org.admin.client.get(path))["models"] == []
    assert model in admin.page.text, "what was struck can be ticked again"
    admin.press("Save the models", every="yes")
    assert good(org.admin.client.get(path))["models"] is None
    user = visiting(org.user)
    assert "Every model may be called" in user.open(f"/orgs/{org.id}/budget/models").text


def test_an_organisation_is_offered_no_more_than_the_platform_gave_it(
    org: Org, visiting: Visiting, model: str, root: httpx.Client, operator: Browser
) -> None:
    other = good(root.post("/models", json={"name": f"m-{uuid4().hex}", "backends": [BACKEND]}))["name"]
    good(root.put(f"/organizations/{org.id}/allowed-models", json={"models": [model]}))
    admin = visiting(org.admin)
    page = admin.open(f"/orgs/{org.id}/budget/models").text
    assert (model in page, other in page) == (True, False)
    admin.press("Save the models", models=[model, other])
    assert admin.status == 403
    assert other in operator.open(f"/orgs/{org.id}/budget/models").text


async def test_alerts_are_listed_acknowledged_and_raised_at_other_thresholds(
    org: Org, visiting: Visiting, database_url: str
) -> None:
    admin, user = visiting(org.admin), visiting(org.user)
    assert "Nothing was raised" in admin.open(f"/orgs/{org.id}/budget/alerts").text
    connection = await asyncpg.connect(database_url)
    for user_id, threshold in ((None, 80), (org.other.id, 100)):
        await connection.execute(
            "INSERT INTO billing.alerts (id, org_id, user_id, period, threshold, limit_tokens, used_tokens, refused)"
            " VALUES ($1, $2, $3, '202601', $4, 1000, 987, false)",
            *(str(uuid4()), org.id, user_id, threshold),
        )
    await connection.close()
    admin.open(f"/orgs/{org.id}/budget/alerts")
    assert org.other.email in admin.page.text
    admin.press("I know")
    assert f"{org.admin.email} knows since" in admin.page.text
    assert "No alert in this month" in admin.open(f"/orgs/{org.id}/budget/alerts?month=2026-02").text
    assert "80 % passed" in admin.open(f"/orgs/{org.id}/budget/alerts?month=2026-01").text
    admin.open(f"/orgs/{org.id}/budget/alerts?month=1")
    assert admin.status == 400
    admin.open(f"/orgs/{org.id}/budget/alerts")
    for wrong in ("50, 101", "many", "50 50"):
        admin.press("Save", thresholds=wrong)
        assert admin.status == 400, wrong
        assert admin.page.one("p", id="f-thresholds-fault").text
        assert admin.page.one("input", name="thresholds").attrs["value"] == wrong
    admin.press("Save", thresholds="90 %, 50")
    assert good(org.admin.client.get(f"/organizations/{org.id}/alert-thresholds"))["thresholds"] == [50, 90]
    page = user.open(f"/orgs/{org.id}/budget/alerts").text
    assert ("80 % passed" in page, org.other.email in page, "I know" in page) == (True, False, False)


async def test_what_git_manages_names_the_file_and_line(org: Org, visiting: Visiting, database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    sent = msgspec.json.encode(MANAGED).decode()
    await connection.execute("UPDATE identity.organizations SET managed_by = $2 WHERE id = $1", org.id, sent)
    await connection.close()
    admin = visiting(org.admin)
    pages = (
        *(("budget", 12), ("budget/limits", 31), ("budget/models", 37), ("budget/alerts", 41)),
        *(("members", 20), (f"members/{org.user.id}", 20), (f"members/{org.user.id}/budget", 20)),
    )
    for path, line in pages:
        [lock] = admin.open(f"/orgs/{org.id}/{path}").classed("managed")
        assert f"Managed by Git: orgs/acme/org.yaml:{line} of https://git.example.org/policies.git" in lock.text, path


def test_budgets_are_of_ones_own_organisation_and_changed_by_admins(
    admin: Browser, user: Browser, operator: Browser, house: Org, foreign: Org
) -> None:
    for path in ("budget", "budget/limits", "budget/models", "budget/alerts", f"members/{foreign.user.id}/budget"):
        admin.open(f"/orgs/{foreign.id}/{path}")
        assert admin.status == 404, path
        if not path.startswith("members"):
            user.open(f"/orgs/{house.id}/{path}")
            assert user.status == 200, path
            user.send(f"/orgs/{house.id}/{path}", {"csrf": user.csrf})
            assert user.status == 403, path
            operator.open(f"/orgs/{house.id}/{path}")
            assert operator.status == 200, path
    for browser in (admin, operator):
        browser.open(f"/orgs/{house.id}/members/{foreign.user.id}/budget")
        assert browser.status == 404
    user.open(f"/orgs/{house.id}/members/{house.admin.id}/budget")
    assert user.status == 403

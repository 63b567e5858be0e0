"""First pages: how things stand, what needs attention, and steps that tick themselves as they are done."""

from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from ias.contract.usage import Outcome
from ias.telemetry import now
from tests.integration.console.browser import Browser, Element
from tests.integration.console.conftest import Visiting
from tests.integration.console.spending import request_of, used
from tests.integration.identity.conftest import Api, Org, good, new_member

SCRIPT = "<script>alert(1)</script>"


def part(page: Element, title: str) -> Element:
    """The section of this heading."""
    [found] = [each for each in page.all("section") if title in [head.text for head in each.all("h2")]]
    return found


def steps(page: Element) -> dict[str, bool]:
    """The first steps, and whether each is done."""
    found = {}
    for item in part(page, "First steps").one("ol").all("li"):
        found[item.one("strong").text] = item.attrs.get("class") == "done"
    return found


@pytest.fixture
def model(root: httpx.Client, org: Org) -> str:
    """The name of the one model that the organisation may call."""
    name = f"model-{uuid4().hex}"
    good(root.post("/models", json={"name": name, "backends": [{"url": "http://93.184.215.14:8000"}]}))
    good(root.put(f"/organizations/{org.id}/allowed-models", json={"models": [name]}))
    return name


async def test_the_steps_of_a_user_tick_themselves_and_are_gone_after_the_first_request(
    org: Org, visiting: Visiting, model: str, database_url: str
) -> None:
    browser = visiting(org.user)
    assert browser.path == f"/orgs/{org.id}"
    assert steps(browser.page) == {"Make an API key": False, "Send the first request": False}
    assert f'"model": "{model}"' in part(browser.page, "First steps").one("pre").text
    assert "/v1/chat/completions" in part(browser.page, "First steps").one("pre").text
    browser.follow("Make a key")
    browser.press("Make the key", label=SCRIPT)
    browser.follow("Home")
    assert steps(browser.page) == {"Make an API key": True, "Send the first request": False}
    [key] = good(org.user.client.get("/api-keys"))["items"]
    await used(database_url, request_of(org, org.user, key), request_of(org, org.other, org.other.key()))
    browser.open(f"/orgs/{org.id}")
    assert "First steps" not in browser.page.text
    assert "1.02k" in part(browser.page, "Your month").text
    assert SCRIPT in part(browser.page, "Your keys").text
    assert SCRIPT not in browser.answer.text


async def test_a_first_request_of_long_ago_by_a_key_that_is_gone_ticks_its_step_for_who_sent_it(
    org: Org, visiting: Visiting, database_url: str
) -> None:
    key = org.user.key()
    good(org.user.client.delete(f"/api-keys/{key['id']}"))
    await used(database_url, request_of(org, org.user, key, started_at=now() - timedelta(days=100)))
    assert "First steps" not in visiting(org.user).page.text
    assert steps(visiting(org.admin).page)["Send the first request"]
    org.other.key()
    assert steps(visiting(org.other).page) == {"Make an API key": True, "Send the first request": False}


async def test_of_each_budget_the_highest_alert_that_nobody_knows_of_needs_attention(
    org: Org, visiting: Visiting, database_url: str
) -> None:
    connection = await asyncpg.connect(database_url)
    for user_id, threshold, known in (
        *((None, 50, False), (None, 100, False), (None, 80, False)),
        *((org.other.id, 80, False), (org.other.id, 90, True)),
    ):
        await connection.execute(
            "INSERT INTO billing.alerts (id, org_id, user_id, period, threshold, limit_tokens, used_tokens, refused,"
            " acknowledged_at) VALUES ($1, $2, $3, $4, $5, 1000, 1003, false, $6)",
            *(str(uuid4()), org.id, user_id, f"{now():%Y%m}", threshold, now() if known else None),
        )
    await connection.close()
    told = [item.text for item in part(visiting(org.admin).page, "Needs attention").all("li")]
    [of_budgets] = [text for text in told if "% of the budget" in text]
    assert "100 % of the budget of the organisation was reached" in of_budgets


async def changed(database_url: str, key: dict[str, str], what: str) -> None:
    """Change a key behind the API's back."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(f"UPDATE identity.api_keys SET {what} WHERE id = $1", UUID(key["id"]))
    finally:
        await connection.close()


async def test_an_admin_sees_the_budget_its_end_and_what_needs_attention(
    org: Org, visiting: Visiting, database_url: str
) -> None:
    good(org.admin.client.patch(f"/organizations/{org.id}/budget", json={"monthly_tokens": 10_000}))
    good(org.admin.client.post("/users/invite", json={"email": f"{uuid4().hex}@example.org", "role": "org-user"}))
    soon = f"{now() + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"
    key = good(org.user.client.post("/api-keys", json={"label": f"ends {SCRIPT}", "expires_at": soon}))
    short = good(org.user.client.post("/api-keys", json={"label": "for a while", "expires_at": soon}))
    await changed(database_url, key, "created_at = created_at - interval '30 days'")
    failed = {"outcome": Outcome.UPSTREAM_FAILED, "status": 502}
    await used(database_url, *(request_of(org, org.user, key, **(failed if n < 3 else {})) for n in range(20)))
    browser = visiting(org.admin)
    assert "0 of 10k tokens used, 0.0 %" in part(browser.page, "Budget").text
    assert browser.page.one("svg", role="img", aria_label="Budget: 0.0 % used")
    attention = part(browser.page, "Needs attention").text
    for said in (
        f"The key “ends {SCRIPT}” of {org.user.email} ends soon.",
        "1 invite not accepted yet.",
        "2 members have no key that works.",
        "3 of 20 requests of this month failed.",
    ):
        assert said in attention
    assert "for a while" not in attention
    assert SCRIPT not in browser.answer.text
    assert steps(browser.page)["Have a budget"]
    theirs = visiting(org.user)
    assert "for a while" in part(theirs.page, "Your keys").text
    await changed(database_url, short, "expires_at = now()")
    assert "for a while" not in part(theirs.open(theirs.path), "Your keys").text
    browser.follow("See them")
    assert len(browser.page.one("tbody").all("tr")) == 3


def test_the_steps_of_an_admin_say_where_to_go_next(org: Org, visiting: Visiting) -> None:
    browser = visiting(org.admin)
    todo = steps(browser.page)
    assert (todo["Have a budget"], todo["Invite members"], todo["Make an API key"]) == (True, True, False)
    links = {link.attrs["href"] for link in part(browser.page, "First steps").all("a")}
    assert f"/orgs/{org.id}/keys/new" in links
    for link in links:
        browser.open(link)
        assert browser.status == 200, link


def test_a_system_admin_begins_at_the_overview_and_sees_each_organisation(
    operator: Browser, org: Org, api: Api, root: httpx.Client
) -> None:
    operator.open("/")
    assert operator.path == "/overview"
    assert "Doctor, in short" in operator.page.text
    assert steps(operator.page)["Start a gateway"] is False
    for link in part(operator.page, "First steps").all("a"):
        operator.open(link.attrs["href"])
        assert operator.status == 200, link.attrs["href"]
    empty = good(root.post("/organizations", json={"name": f"empty {uuid4().hex}"}))
    operator.open(f"/orgs/{empty['id']}")
    assert "Nobody administers this organisation." in operator.page.text
    new_member(api, root, empty["id"], "org-admin")
    operator.open(f"/orgs/{empty['id']}")
    assert "Nobody administers this organisation." not in operator.page.text
    assert not [link for link in operator.page.all("a") if link.text == "New key"]


def test_first_pages_of_others_are_not_there(user: Browser, foreign: Org) -> None:
    user.open(f"/orgs/{foreign.id}")
    assert user.status == 404
    user.open("/overview")
    assert user.status == 403

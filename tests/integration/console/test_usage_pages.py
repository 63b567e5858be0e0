"""Usage on pages: told apart, narrowed and compared by the address alone, with the same numbers as the API's."""

import csv
import io
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from ias.contract.usage import Outcome
from ias.telemetry import now
from tests.integration.console.browser import Browser, Element
from tests.integration.console.conftest import Visiting
from tests.integration.console.spending import request_of, used
from tests.integration.identity.conftest import Org, good

SCRIPT = "<script>alert(1)</script>"


def rows(page: Element, title: str) -> dict[str, list[str]]:
    """A table's rows by their first cells."""
    [section] = [each for each in page.all("section") if title in [head.text for head in each.all("h2")]]
    found = {}
    for row in section.one("tbody").all("tr"):
        found[row.all("th")[0].text] = [cell.text for cell in row.all("td")]
    return found


@pytest.fixture
async def busy(org: Org, database_url: str) -> Org:
    """An organisation of which two members used two models, and more than in the seven days before."""
    ours, theirs = org.user.key(SCRIPT), org.other.key("batch")
    before = now() - timedelta(days=8)
    await used(
        database_url,
        *(request_of(org, org.user, ours) for _ in range(3)),
        request_of(org, org.other, theirs, model="other-model", outcome=Outcome.UPSTREAM_FAILED, status=502),
        request_of(org, org.other, theirs, started_at=before),
    )
    return org


def test_usage_is_told_apart_and_narrowed_by_following_links(busy: Org, visiting: Visiting) -> None:
    browser = visiting(busy.admin)
    browser.follow("Usage")
    browser.follow("7 days")
    models = rows(browser.page, "Models")
    assert models["page-model"][0].startswith("3.06k 75.0 %")
    assert models["other-model"][2] == "1 1 failed"
    assert "+2,042 tokens (1,021 → 3,063)" in browser.page.text
    assert "Why did it rise?" in browser.page.text
    assert rows(browser.page, "How requests went")["page-model"][3].endswith("s")
    chart = browser.page.one("div", role="region", aria_label="The numbers of this chart").one("tbody")
    days = [[cell.text for cell in row.all("td")] for row in chart.all("tr")]
    assert [day for day in days if day[-1] != "0"] == [["3,063", "1,021", "4,084"]]

    browser.follow("By member")
    members = rows(browser.page, "Members")
    assert members[busy.user.email][2] == "3"
    browser.follow(busy.user.email)
    assert parse_qs(urlsplit(browser.path).query) == {"period": ["7d"], "user": [busy.user.id]}
    assert list(rows(browser.page, "Models")) == ["page-model"]

    browser.press("Apply", model="nothing-of-that-name")
    assert browser.page.one("select", name="user").one("option", selected="").attrs["value"] == busy.user.id
    assert "Nothing was used in this time" in browser.page.text


def test_the_page_has_the_numbers_of_the_api_and_its_csv_keeps_the_filters(busy: Org, visiting: Visiting) -> None:
    browser = visiting(busy.admin)
    browser.open(f"/orgs/{busy.id}/usage?period=7d&by=day&model=page-model")
    start = now() - timedelta(days=6)
    asked = {"from": f"{start:%Y-%m-%d}T00:00:00Z", "group_by": "day", "model": "page-model"}
    found = good(busy.admin.client.get(f"/analytics/orgs/{busy.id}/usage", params=asked))
    [(_, cells)] = rows(browser.page, "By day").items()
    [item] = found["items"]
    names = ("total_tokens", "requests", "failed", "prompt_tokens", "cached_tokens", "completion_tokens")
    assert cells == [f"{item[name]:,}" for name in names]
    browser.follow("CSV")
    assert browser.answer.headers["content-type"].startswith("text/csv")
    [line] = csv.DictReader(io.StringIO(browser.answer.text))
    assert (line["requests"], line["total_tokens"]) == ("3", "3063")


def test_names_are_shown_to_those_who_may_see_them_and_never_run(busy: Org, visiting: Visiting) -> None:
    browser = visiting(busy.user)
    browser.open(f"/orgs/{busy.id}/usage?period=7d&by=user")
    assert busy.user.email in browser.page.text
    assert busy.other.email not in browser.answer.text
    browser.open(f"/orgs/{busy.id}/usage?period=7d&by=key")
    assert SCRIPT not in browser.answer.text
    assert any(name.startswith(SCRIPT) for name in rows(browser.page, "API keys"))
    assert "batch" not in browser.page.text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("period=custom&from=yesterday&to=2026-01-01", "write a day, such as 2026-01-31"),
        ("period=custom&from=2026-02-01&to=2026-01-01", "must not be before the first day"),
        ("period=custom&from=0001-01-01&to=2026-01-01", "five years"),
        ("period=30d&every=hour", "that would be more than 200 columns"),
        ("timezone=Mars/Olympus", "rite an IANA time zone"),
        ("user=me", "user"),
        ("period=forever", "period"),
    ],
)
def test_what_makes_no_sense_is_said_on_the_page_with_the_filters_kept(
    admin: Browser, house: Org, query: str, said: str
) -> None:
    admin.open(f"/orgs/{house.id}/usage?{query}")
    assert admin.status == 400
    assert said in admin.page.text
    assert admin.page.one("form", class_="filters")
    admin.open(f"/orgs/{house.id}/usage/csv?{query}")
    assert admin.status == (200 if "every" in query else 400)


def test_a_custom_time_opens_with_the_days_that_were_shown(admin: Browser, house: Org) -> None:
    admin.open(f"/orgs/{house.id}/usage?period=7d&timezone=Europe/Berlin")
    admin.follow("Custom")
    assert admin.page.one("input", name="from").attrs["value"] < admin.page.one("input", name="to").attrs["value"]
    admin.press("Apply", timezone="Asia/Kathmandu")
    assert (admin.status, "(Asia/Kathmandu)" in admin.page.text) == (200, True)


def test_usage_of_the_platform_is_for_those_who_run_it(busy: Org, operator: Browser, root: httpx.Client) -> None:
    operator.open("/usage?period=7d")
    assert "Usage of the platform" in operator.page.text
    name = good(root.get(f"/organizations/{busy.id}"))["name"]
    operator.follow(name)
    assert operator.path == f"/orgs/{busy.id}/usage"
    operator.open("/usage?by=user")
    assert (operator.status, "summed by model" in operator.page.text) == (400, True)


def test_other_peoples_usage_is_not_there(user: Browser, foreign: Org) -> None:
    for path in (f"/orgs/{foreign.id}/usage", f"/orgs/{foreign.id}/usage/csv"):
        user.open(path)
        assert user.status == 404
    user.open("/usage")
    assert user.status == 403
    assert not [link for link in user.page.all("a") if link.attrs["href"] == "/usage"]

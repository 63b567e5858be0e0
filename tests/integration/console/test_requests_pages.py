"""Requests on pages: found by id, narrowed, read page by page, traced to their ledger lines; never what was asked."""

from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from ias.contract.usage import Outcome
from tests.integration.console.browser import Browser
from tests.integration.console.conftest import Visiting
from tests.integration.console.spending import request_of, used
from tests.integration.identity.conftest import Org, good


@pytest.fixture
def priced(root: httpx.Client) -> dict[str, str]:
    """A model with a price."""
    sent = {"name": f"model-{uuid4().hex}", "backends": [{"url": "http://93.184.215.14:8000"}]}
    rates = {"input_rate": "0.5", "output_rate": "1.5", "cached_input_rate": "0.1"}
    return good(root.post("/models", json=sent | rates))


async def test_a_request_is_found_by_its_id_with_times_tokens_and_ledger_lines(
    house: Org, user: Browser, operator: Browser, priced: dict[str, str], database_url: str
) -> None:
    key = house.user.key("finder")
    model = {"model": priced["name"], "model_id": UUID(priced["id"])}
    event = request_of(house, house.user, key, **model)
    more = msgspec.structs.replace(event, line=2, prompt_tokens=0, completion_tokens=5, cached_tokens=0)
    await used(database_url, event, more)

    user.open(f"/orgs/{house.id}")
    user.follow("Requests")
    user.press("Find", q=str(event.request_id))
    assert user.path == f"/orgs/{house.id}/requests/{event.request_id}"
    said = user.page.text
    for part in ("Completed", "4 ms", "250 ms", "2.25 s", "12.5", "finder", "1,026", "adjustment"):
        assert part in said, part
    ledger = user.page.all("section")[-1]
    costs = [row.all("td")[-1].text for row in ledger.one("tbody").all("tr")]
    # 600 prompt tokens at 0.5, 400 cached ones at 0.1 and 21 at 1.5 for a thousand; and 5 more of the last.
    assert costs == ["0.3715", "0.0075"]
    assert ledger.one("tfoot").all("td")[-1].text == "0.3790"
    assert "engine:8000" not in user.answer.text

    operator.open(f"/orgs/{house.id}/requests/{event.request_id}")
    assert "http://engine:8000" in operator.page.text


async def test_a_list_is_narrowed_and_read_page_by_page(org: Org, visiting: Visiting, database_url: str) -> None:
    key = org.user.key("many")
    failed = request_of(org, org.user, key, outcome=Outcome.GATEWAY_LOST, status=0, duration_ms=31_000.0)
    await used(database_url, failed, *(request_of(org, org.user, key) for _ in range(60)))
    browser = visiting(org.admin)
    browser.open(f"/orgs/{org.id}/requests")
    first = [row.all("a")[0].attrs["href"] for row in browser.page.one("tbody").all("tr")]
    browser.follow("Older")
    second = [row.all("a")[0].attrs["href"] for row in browser.page.one("tbody").all("tr")]
    assert (len(first), len(second), len({*first, *second})) == (50, 11, 61)
    browser.follow("Newest")
    browser.press("Apply", errors="true")
    [row] = browser.page.one("tbody").all("tr")
    assert "Gateway lost no status" in row.text
    browser.press("Apply", slow_ms="30000", errors="")
    assert len(browser.page.one("tbody").all("tr")) == 1
    browser.press("Apply", slow_ms="", outcome="cut")
    assert "No such requests" in browser.page.text
    browser.open(f"/orgs/{org.id}/requests?outcome=gateway_lost")
    browser.follow("CSV")
    assert browser.answer.text.count("\r\n") == 2
    assert str(failed.request_id) in browser.answer.text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("q=my%20request", "this is no request id"),
        ("q=01a1ff1c-0694-7205-b6f2-ee3ff30d2c23", "no such request"),
        ("status=abc", "whole number"),
        ("status=1000", "999"),
        ("cursor=AAAA", "leave it out to start at the first page"),
        ("period=custom", "rite a day, such as 2026-01-31"),
        ("period=custom&from=2026-02-01&to=2026-01-01", "must come after from"),
        ("key=mine", "key"),
    ],
)
def test_what_makes_no_sense_is_said_on_the_page(user: Browser, house: Org, query: str, said: str) -> None:
    user.open(f"/orgs/{house.id}/requests?{query}")
    assert user.status == 400
    assert said in user.page.text


async def test_requests_of_others_are_not_there(user: Browser, house: Org, foreign: Org, database_url: str) -> None:
    event = request_of(foreign, foreign.user, foreign.user.key("theirs"))
    await used(database_url, event)
    for path in (
        f"/orgs/{foreign.id}/requests",
        f"/orgs/{foreign.id}/requests/csv",
        f"/orgs/{foreign.id}/requests/{event.request_id}",
        f"/orgs/{house.id}/requests/{event.request_id}",
    ):
        user.open(path)
        assert user.status == 404, path

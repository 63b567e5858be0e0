"""Models on pages: registered, changed, priced and stopped by system admins; looked at by everybody else."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest

from ias.contract import readings
from ias.contract.readings import Reading
from ias.edge import Edge
from tests.integration.console.browser import Browser
from tests.integration.identity.conftest import Api, Org, good

NOBODY = "0190a3a0-0000-7000-8000-000000000000"
ENGINE = "http://llama.inference.example:8000"


@pytest.fixture
def model(root: httpx.Client) -> dict[str, str]:
    """A model of the test's own."""
    body = {"name": f"model-{uuid4().hex[:12]}", "backends": [{"url": ENGINE}], "input_rate": "0.0006"}
    return good(root.post("/models", json=body))


def read(root: httpx.Client, path: str) -> Any:
    return good(root.get(path))


def serve_from(root: httpx.Client, model: dict[str, str], urls: list[str]) -> None:
    good(root.patch(f"/models/{model['id']}", json={"backends": [{"url": url} for url in urls]}))


def allow(root: httpx.Client, org: Org, model: dict[str, str]) -> None:
    good(root.put(f"/organizations/{org.id}/allowed-models", json={"models": [model["name"]]}))


def test_a_model_is_registered_and_wrong_addresses_are_said_beside_their_field(operator: Browser) -> None:
    name = f"model-{uuid4().hex[:12]}"
    operator.open("/models/new")
    operator.press("Register the model", name=name, backends="http://169.254.169.254\nftp://engine", input_rate="0.5")
    assert operator.status == 400
    fault = operator.page.one(id="f-backends-fault").text
    assert "line 1 169.254.169.254 is" in fault
    assert "line 2 must begin with http:// or https://" in fault
    assert operator.page.one("input", id="f-name").attrs["value"] == name
    operator.press("Register the model", backends=ENGINE, tenant_salt="false")
    assert operator.page.one("h1").text == name
    assert "is registered" in operator.page.text
    assert "shared by all organisations" in operator.page.text


def test_a_replica_and_a_rate_are_added_and_the_last_replica_cannot_be_removed(
    operator: Browser, model: dict[str, str]
) -> None:
    here = f"/models/{model['id']}"
    operator.open(here)
    assert "Remove" not in {button.text for button in operator.page.all("button")}
    operator.press("Add it", backends="http://user:x@engine.example")
    assert operator.status == 400
    assert "must not have a user name" in operator.page.one(id="f-backends-fault").text
    operator.press("Add it", backends="http://second.inference.example:8000")
    assert "http://second.inference.example:8000" in operator.page.text
    operator.press("Announce it", input_rate="0.0005", valid_from="2020-01-01T00:00")
    assert operator.status == 400
    assert "has passed" in operator.page.one(id="f-valid_from-fault").text
    operator.press("Announce it", input_rate="0.0005", valid_from="2100-01-01T00:00")
    assert "announced" in operator.page.text
    operator.press("Withdraw")
    assert "The rate is withdrawn." in operator.page.text
    operator.press("Remove http://second.inference.example:8000")
    assert "second" not in operator.page.one(id="replicas-title").text
    assert len(operator.page.classed("acts")) == 2  # of one replica, and one rate


def test_disabling_says_first_whom_it_stops_and_nobody_is_offered_it_then(
    operator: Browser, user: Browser, house: Org, model: dict[str, str]
) -> None:
    user.open(f"/orgs/{house.id}/models")
    assert model["name"] in user.page.text
    assert ENGINE not in user.answer.text
    operator.open(f"/models/{model['id']}")
    operator.follow("Disable it")
    assert "Nobody called it since yesterday" in operator.page.text
    operator.press("Disable it")
    assert "Nobody may call it" in operator.page.text
    user.open(f"/orgs/{house.id}/models")
    assert model["name"] not in user.page.text
    operator.press("Enable it")
    assert "may be called again" in operator.page.text


def test_what_somebody_changed_meanwhile_is_not_written_over(
    operator: Browser, root: httpx.Client, model: dict[str, str]
) -> None:
    operator.open(f"/models/{model['id']}/edit")
    good(root.patch(f"/models/{model['id']}", json={"context_length": 4096}))
    operator.press("Save", context_length="2048")
    assert operator.status == 412
    assert "Somebody changed it after you opened the page. Open it again, and decide anew." in operator.page.text
    assert "ETag" not in operator.page.text
    operator.open(f"/models/{model['id']}/edit")
    operator.press("Save", context_length="3000")
    assert "3,000 tokens" in operator.page.text


def test_a_removed_model_is_gone(operator: Browser, model: dict[str, str]) -> None:
    operator.open(f"/models/{model['id']}")
    operator.follow("Remove it")
    operator.press("Remove it")
    assert operator.path == "/models"
    operator.open(f"/models/{model['id']}")
    assert operator.status == 404


def test_only_system_admins_keep_models_and_whoever_is_foreign_finds_nothing(
    user: Browser, admin: Browser, house: Org, foreign: Org, model: dict[str, str]
) -> None:
    for browser in (user, admin):
        for path in ("/models", "/models/new", f"/models/{model['id']}"):
            browser.open(path)
            assert browser.status == 403, path
        browser.open(f"/orgs/{foreign.id}/models")
        assert browser.status == 404
        browser.open(f"/orgs/{house.id}/models")
        assert "/models" not in {link.attrs["href"] for link in browser.page.all("a")}


async def test_replicas_are_shown_as_gateways_last_read_them(
    api: Api, operator: Browser, root: httpx.Client, model: dict[str, str]
) -> None:
    urls = [f"http://{uuid4().hex}.example:8000" for _ in range(3)]
    await asyncio.to_thread(serve_from, root, model, urls)
    edge, now = Edge(api.env["IAS_REDIS_URL"]), time.time()
    try:
        seen = [Reading(urls[0], now, now - 90, 1_234_567, 2, 3), Reading(urls[1], now - 120, 0.0, 4, 5, 6)]
        await edge.call(readings.tell(seen))
        found = await asyncio.to_thread(read, root, f"/models/{model['id']}/replicas")
        operator.open(f"/models/{model['id']}")
    finally:
        await edge.call(readings.forget(urls))
        await edge.close()
    assert [(each["url"], each["seen"]) for each in found["items"]] == [
        (urls[0], "answers"),
        (urls[1], "silent"),
        (urls[2], "never-read"),
    ]
    assert found["items"][0]["prompt_tokens"] == 1_234_567
    assert found["items"][2]["read_at"] is None
    rows = {row.all("code")[0].text: row.text for row in operator.page.all("tr") if row.all("code")}
    assert "answers" in rows[urls[0]]
    assert "silent 2 minutes ago" in rows[urls[1]]
    assert "not read yet" in rows[urls[2]]


async def test_who_called_a_model_since_yesterday_is_told_before_it_is_stopped(
    operator: Browser, root: httpx.Client, org: Org, model: dict[str, str], database_url: str
) -> None:
    await asyncio.to_thread(allow, root, org, model)
    owner = await asyncpg.connect(database_url)
    try:
        first, second, third = uuid4(), uuid4(), uuid4()
        for key_id, days in ((first, 0), (first, 1), (second, 1), (third, 2)):
            await owner.execute(
                "INSERT INTO analytics.usage_daily (org_id, bucket, user_id, key_id, model, requests, failed,"
                " prompt_tokens, completion_tokens, cached_tokens) VALUES"
                " ($1, date_trunc('day', now(), 'UTC') - make_interval(days => $2), $3, $4, $5, 1, 0, 1, 1, 0)",
                *(org.id, days, org.user.id, key_id, model["name"]),
            )
    finally:
        await owner.close()
    found = await asyncio.to_thread(read, root, f"/models/{model['id']}/callers")
    assert (found["organisations"], found["keys"], found["requests"]) == (1, 2, 3)
    assert found["listed"] == [{"id": org.id, "name": org.name}]
    operator.open(f"/models/{model['id']}/disable")
    assert [dd.text for dd in operator.page.one("dl").all("dd")] == [
        "1 called it since yesterday",
        "2 called it since yesterday",
        "3 since yesterday",
    ]
    assert "Programs that call it will fail" in operator.page.text
    operator.open(f"/models/{model['id']}")
    operator.follow(org.name)
    assert operator.path == f"/orgs/{org.id}/models"


def test_a_trial_without_a_gateway_says_what_to_do(operator: Browser, model: dict[str, str]) -> None:
    operator.open(f"/models/{model['id']}")
    operator.press("Test it")
    assert operator.status == 503
    assert "start" in operator.page.text


def test_bad_ids_and_cursors_are_pages(operator: Browser) -> None:
    for path, status in ((f"/models/{NOBODY}", 404), ("/models?cursor=x", 400), ("/models/nothing", 404)):
        operator.open(path)
        assert operator.status == status, path
        assert operator.page.one("h1").text

"""Keys on pages: made once, copied, rotated, revoked, all without JavaScript."""

from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from tests.integration.console.browser import Browser
from tests.integration.console.conftest import Visiting
from tests.integration.identity.conftest import PASSWORD, Api, Org, good


@pytest.fixture
def model(root: httpx.Client) -> str:
    """A model that every organisation may call."""
    name = f"model-{uuid4().hex}"
    return good(root.post("/models", json={"name": name, "backends": [{"url": "http://93.184.215.14:8000"}]}))["name"]


def test_a_key_is_made_shown_once_and_revoked_without_javascript(user: Browser, house: Org) -> None:
    user.open("/")
    assert user.path == f"/orgs/{house.id}"
    user.follow("API keys")
    user.follow("New key")
    user.press("Make the key", label="from a page")
    assert user.status == 200
    token = user.page.one("code", id="token").text
    assert token.startswith(f"ias_{house.tag}_")
    assert user.answer.headers["cache-control"] == "no-store"
    user.follow("I have copied it")
    assert token not in user.answer.text
    user.follow("from a page")
    user.follow("Revoke this key")
    assert "It was never used" in user.page.text
    user.press("Revoke it")
    assert "is revoked" in user.page.text
    [key] = [each for each in good(house.user.client.get("/api-keys"))["items"] if each["label"] == "from a page"]
    assert key["revoked_at"] is not None


def test_a_form_that_is_sent_twice_makes_one_key(user: Browser, house: Org) -> None:
    path = f"/orgs/{house.id}/keys"
    user.open(f"{path}/new")
    sent = {name: user.form("Make the key").one("input", name=name).attrs["value"] for name in ("csrf", "once")}
    user.send(path, {**sent, "label": ""})
    assert user.status == 400
    user.send(path, {**sent, "label": "sent twice"})
    assert user.page.one("code", id="token").text.startswith("ias_")
    user.send(path, {**sent, "label": "sent twice"})
    assert user.status == 409
    assert "This form was sent before" in user.page.text
    assert user.open(path).text.count("sent twice") == 1


def test_a_key_is_rotated_and_both_work_for_a_while(user: Browser, house: Org) -> None:
    key = house.user.key("to be rotated")
    user.open(f"/orgs/{house.id}/keys/{key['id']}")
    user.press("Rotate", grace_s="3600")
    assert user.page.one("code", id="token").text != key["token"]
    old = user.open(f"/orgs/{house.id}/keys/{key['id']}")
    assert "in 59 minutes" in old.text or "in 1 hour" in old.text
    assert "active" in old.text
    user.press("Rotate", grace_s="0")
    user.open(f"/orgs/{house.id}/keys/{key['id']}")
    assert "revoked" in user.page.text
    assert not [form for form in user.page.all("form") if "/rotate" in form.attrs.get("action", "")]


def test_an_admin_caps_and_revokes_somebody_elses_key_and_does_not_rotate_it(admin: Browser, house: Org) -> None:
    key = house.user.key("of a user")
    page = admin.open(f"/orgs/{house.id}/keys/{key['id']}")
    assert house.user.email in page.text
    assert "Rotate" not in [each.text for each in page.all("button")]
    admin.press("Save", monthly_tokens="12,5")
    assert admin.status == 400
    admin.press("Save", monthly_tokens="1000")
    assert "The key's rules are changed" in admin.page.text
    assert good(house.user.client.get(f"/api-keys/{key['id']}"))["monthly_tokens"] == 1000
    admin.press("Save", monthly_tokens="")
    assert good(house.user.client.get(f"/api-keys/{key['id']}"))["monthly_tokens"] is None
    admin.follow("Revoke this key")
    admin.press("Revoke it")
    assert good(house.user.client.get(f"/api-keys/{key['id']}"))["revoked_at"] is not None


def test_models_and_a_cap_are_set_at_once_and_what_was_unticked_stays_so(
    visiting: Visiting, root: httpx.Client, org: Org
) -> None:
    names = sorted(f"model-{uuid4().hex}" for _ in range(2))
    for name in names:
        good(root.post("/models", json={"name": name, "backends": [{"url": "http://93.184.215.14:8000"}]}))
    good(root.put(f"/organizations/{org.id}/allowed-models", json={"models": names}))
    key, browser = org.user.key("with rules"), visiting(org.user)
    browser.open(f"/orgs/{org.id}/keys/{key['id']}")
    browser.press("Save", models=["", names[0]], monthly_tokens="1000")
    assert "The key's rules are changed" in browser.page.text
    read = good(org.user.client.get(f"/api-keys/{key['id']}"))
    assert (read["models"], read["monthly_tokens"]) == ([names[0]], 1000)
    browser.press("Save", models=[""], monthly_tokens="many")
    assert browser.status == 400
    assert not [box for box in browser.page.all("input", type="checkbox") if "checked" in box.attrs]


async def test_the_cap_of_a_key_for_no_model_is_changed_and_it_still_may_call_none(
    visiting: Visiting, model: str, org: Org, database_url: str
) -> None:
    key, browser = org.user.key("of an older release"), visiting(org.user)
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("UPDATE identity.api_keys SET models = '{}' WHERE id = $1", UUID(key["id"]))
    finally:
        await connection.close()
    page = browser.open(f"/orgs/{org.id}/keys/{key['id']}")
    assert "This key may call no model" in page.text
    assert "None ticked: every model" not in page.text
    browser.press("Save", models=[""], monthly_tokens="1000")
    read = good(org.user.client.get(f"/api-keys/{key['id']}"))
    assert (read["models"], read["monthly_tokens"]) == ([], 1000)
    browser.press("Save", models=["", model])
    assert good(org.user.client.get(f"/api-keys/{key['id']}"))["models"] == [model]


def test_a_key_that_was_changed_meanwhile_is_not_written_over(user: Browser, house: Org) -> None:
    key = house.user.key("changed twice")
    path = f"/api-keys/{key['id']}"
    user.open(f"/orgs/{house.id}/keys/{key['id']}")
    good(house.user.client.patch(path, json={"monthly_tokens": 5}))
    user.press("Save", monthly_tokens="many")
    assert user.status == 400
    user.press("Save", monthly_tokens="7")
    assert user.status == 412
    assert "Somebody changed it after you opened the page" in user.page.text
    assert "ETag" not in user.page.text
    assert good(house.user.client.get(path))["monthly_tokens"] == 5


def test_a_page_that_answers_a_form_is_not_left_by_the_theme(user: Browser, house: Org) -> None:
    user.open(f"/orgs/{house.id}/keys/new")
    assert [form for form in user.page.all("form") if form.attrs.get("action") == "/theme"]
    user.press("Make the key", label="shown once")
    assert user.page.one("code", id="token").text
    assert not [form for form in user.page.all("form") if form.attrs.get("action") == "/theme"]


def test_a_list_of_keys_is_read_page_by_page(org: Org, api: Api) -> None:
    browser = Browser(api.url)
    browser.login(org.other.email, PASSWORD)
    for number in range(51):
        org.other.key(f"key number {number:02}")
    browser.open(f"/orgs/{org.id}/keys")
    assert "key number 50" in browser.page.text
    assert "key number 00" not in browser.page.text
    browser.follow("Older")
    assert "key number 00" in browser.page.text
    browser.follow("Newest")
    assert "key number 50" in browser.page.text

"""Who gets in, who stays out, and what a page of another site can do here: nothing."""

from urllib.parse import quote
from uuid import uuid4

import asyncpg
import httpx
import msgspec
import pytest

from ias.identity.sessions.throttle import PER_CLIENT
from tests.integration.console.browser import Browser
from tests.integration.console.conftest import Visiting
from tests.integration.identity.conftest import PASSWORD, ROOT, Api, Org, good, new_member

NOBODY = "0190a3a0-0000-7000-8000-000000000000"
SESSION = "__Host-ias_session"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; report-uri /csp-reports; report-to csp"
)


def guarded(answer: httpx.Response) -> None:
    """The answer has the headers that every page has."""
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"


def test_whoever_is_not_logged_in_is_led_to_the_form_and_back_to_where_they_wanted(
    stranger: Browser, house: Org
) -> None:
    wanted = f"/orgs/{house.id}/keys?from=a-mail"
    stranger.open(wanted)
    assert stranger.path == f"/login?next={quote(wanted, safe='/')}"
    stranger.press("Log in", email=house.user.email, password=PASSWORD)
    assert stranger.path == wanted
    assert stranger.page.one("h1").text == "API keys"


def test_cookies_are_of_this_host_alone_and_no_script_reads_them(user: Browser) -> None:
    for said in user.set:
        assert said.startswith("__Host-ias_")
        assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= {part.strip() for part in said.split(";")}
        assert "Domain" not in said


def test_every_answer_says_what_pages_may_do_and_that_nobody_keeps_it(stranger: Browser, user: Browser) -> None:
    for browser, path in ((stranger, "/login"), (stranger, "/nothing"), (stranger, "/accept-invite"), (user, "/me")):
        browser.open(path)
        guarded(browser.answer)
    led = user._ask("GET", "/", None, {})
    assert led.status_code == 303
    guarded(led)
    refused = user._ask("POST", "/logout", {}, {"origin": user.url})
    assert refused.status_code == 403
    guarded(refused)


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "https://evil.example", "sec-fetch-site": ""},
        {"origin": "null", "sec-fetch-site": ""},
        {"origin": "http://[", "sec-fetch-site": ""},
        {"origin": "", "sec-fetch-site": "same-site"},
    ],
    ids=["another site", "an old browser", "a sandboxed frame", "none that can be read", "a sister host"],
)
def test_a_form_of_another_site_changes_nothing(headers: dict[str, str], user: Browser) -> None:
    user.open("/me")
    user.send("/me", {"csrf": user.csrf, "name": "Mallory"}, headers)
    assert user.status == 403
    assert "another site" in user.page.text
    assert "Mallory" not in user.open("/me").text


def test_a_form_without_the_token_of_its_own_browser_changes_nothing(user: Browser, admin: Browser, house: Org) -> None:
    path = f"/orgs/{house.id}/keys"
    admin.open(f"{path}/new")
    for token in ({}, {"csrf": ""}, {"csrf": admin.csrf}, {"csrf": "x" * 43}, {"csrf": "\N{SNOWMAN}"}):
        user.send(path, {"label": "forged", **token})
        assert user.status == 403, token
        assert "expired" in user.page.text
    assert "forged" not in user.open(path).text


def test_the_form_to_log_in_is_held_to_its_browser_too(stranger: Browser, house: Org, api: Api) -> None:
    sent = {"email": house.user.email, "password": PASSWORD}
    stranger.send("/login", sent)
    assert stranger.status == 403
    stranger.open("/login")
    stranger.send("/login", sent | {"csrf": stranger.csrf}, {"origin": "https://evil.example"})
    assert stranger.status == 403
    elsewhere = Browser(api.url)
    elsewhere.open("/login")
    stranger.send("/login", sent | {"csrf": elsewhere.csrf})
    assert stranger.status == 403
    assert SESSION not in stranger.cookies


def test_a_session_that_somebody_else_chose_is_not_taken(stranger: Browser, house: Org) -> None:
    stranger.open("/login")
    stranger.cookies[SESSION] = "chosen-by-somebody-else"
    stranger.press("Log in", email=house.user.email, password=PASSWORD)
    first = stranger.cookies[SESSION]
    assert first != "chosen-by-somebody-else"
    stranger.login(house.user.email, PASSWORD)
    assert stranger.cookies[SESSION] != first


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\tevil",
        "\\\\evil",
        "evil",
        "//[",
        "/\N{CJK UNIFIED IDEOGRAPH-65E5}",
    ],
)
def test_nobody_is_led_to_another_site(target: str, stranger: Browser, house: Org) -> None:
    stranger.open(f"/login?next={quote(target)}")
    assert stranger.page.one("input", name="next").attrs["value"] == "/"
    stranger.press("Log in", email=house.user.email, password=PASSWORD, next=target)
    assert stranger.path == f"/orgs/{house.id}"


def test_after_logging_out_nothing_is_shown_and_the_cookie_is_worth_nothing(user: Browser, house: Org) -> None:
    before = user.cookies[SESSION]
    user.open(f"/orgs/{house.id}/keys")
    assert user.answer.headers["cache-control"] == "no-store"
    user.press("Log out")
    assert user.path == "/login"
    assert "You are logged out." in user.page.text
    assert SESSION not in user.cookies
    user.cookies[SESSION] = before
    user.open(f"/orgs/{house.id}/keys")
    assert user.path.startswith("/login")


def test_what_a_cookie_holds_works_for_pages_alone(user: Browser, api: Api) -> None:
    token = user.cookies[SESSION]
    with api.anonymous() as client:
        assert client.post("/auth/refresh", json={"refresh_token": token}).status_code == 401
        assert client.get("/me", headers={"authorization": f"Bearer {token}"}).status_code == 401
        assert client.get("/me", headers={"cookie": f"{SESSION}={token}"}).status_code == 401
    assert user.open("/me").one("h1").text == "Your account"


def test_what_the_api_gives_out_opens_no_page(stranger: Browser, house: Org, api: Api) -> None:
    with api.anonymous() as client:
        session = good(client.post("/auth/login", json={"email": house.user.email, "password": PASSWORD}))
    for token in (session["access_token"], session["refresh_token"]):
        stranger.cookies[SESSION] = token
        stranger.open("/me")
        assert stranger.path == "/login?next=/me"


def test_a_browser_is_out_at_once_when_its_owner_is(visiting: Visiting, api: Api, root: httpx.Client, org: Org) -> None:
    reset, suspended, removed = org.admin, org.user, org.other
    browsers = {member.id: visiting(member) for member in (reset, suspended, removed)}
    good(org.admin.client.patch(f"/users/{suspended.id}", json={"status": "suspended"}))
    good(org.admin.client.delete(f"/users/{removed.id}"))
    good(root.post(f"/users/{reset.id}/reset-password", json={"new_password": "Another-horse-8-battery!"}))
    for browser in browsers.values():
        browser.open("/me")
        assert browser.path == "/login?next=/me"


def test_changing_the_password_ends_every_other_browser(visiting: Visiting, org: Org) -> None:
    here, there = visiting(org.user), visiting(org.user)
    here.open("/me")
    here.press("Change it", current_password=PASSWORD, new_password="short")
    assert here.status == 400
    assert "must be at least 12 characters long" in here.page.text
    here.press("Change it", current_password="Wrong-horse-7-battery!", new_password="Another-horse-8-battery!")
    assert here.status == 401
    here.press("Change it", current_password=PASSWORD, new_password="Another-horse-8-battery!")
    assert "Your password is changed" in here.page.text
    there.open("/me")
    assert there.path == "/login?next=/me"
    assert here.open("/me").one("h1").text == "Your account"


def test_somebody_sees_where_they_are_logged_in_and_ends_it_there(visiting: Visiting, org: Org) -> None:
    here, there = visiting(org.user), visiting(org.user)
    page = here.open("/me")
    rows = [row.text for row in page.one("table").all("tr")[1:]]
    assert len(rows) == 3
    assert len([row for row in rows if "this one" in row]) == 1
    assert len([row for row in rows if "A program" in row]) == 1
    [session] = [
        each
        for each in good(org.user.client.get("/me/sessions"))["items"]
        if each["browser"] and f"/me/sessions/{each['id']}/end" in here.answer.text
    ]
    here.send(f"/me/sessions/{session['id']}/end", {"csrf": here.csrf})
    assert "That session has ended." in here.page.text
    there.open("/me")
    assert there.path == "/login?next=/me"
    for again in (session["id"], NOBODY):
        here.open("/me")
        here.send(f"/me/sessions/{again}/end", {"csrf": here.csrf})
        assert here.status == 404


def test_members_of_a_suspended_organisation_are_told_so(visiting: Visiting, root: httpx.Client, org: Org) -> None:
    browser = visiting(org.user)
    good(root.post(f"/organizations/{org.id}/suspend"))
    browser.open("/")
    assert browser.status == 403
    assert "suspended" in browser.page.text
    browser.follow("Log in as somebody else")
    browser.press("Log in", email=org.user.email, password=PASSWORD)
    assert browser.status == 403
    assert "is suspended; ask an admin" in browser.page.text


@pytest.mark.parametrize("column", ["seen_at", "expires_at"])
async def test_a_session_ends_by_itself(column: str, visiting: Visiting, org: Org, database_url: str) -> None:
    browser = visiting(org.user)
    assert browser.open("/me").one("h1").text == "Your account"
    connection = await asyncpg.connect(database_url)
    try:
        past = {"seen_at": "now() - interval '12 hours'", "expires_at": "now()"}[column]
        changed = f"UPDATE identity.refresh_tokens SET {column} = {past} WHERE browser AND user_id = '{org.user.id}'"
        assert await connection.execute(changed) == "UPDATE 1"
    finally:
        await connection.close()
    browser.open("/me")
    assert browser.path == "/login?next=/me"


async def test_a_visit_lengthens_a_session_and_its_cookie_is_stored_as_a_hash_alone(
    visiting: Visiting, org: Org, database_url: str
) -> None:
    browser = visiting(org.user)
    connection = await asyncpg.connect(database_url)
    try:
        theirs = f"identity.refresh_tokens WHERE browser AND user_id = '{org.user.id}'"
        await connection.execute(
            f"UPDATE identity.refresh_tokens SET seen_at = now() - interval '11 hours' "
            f"WHERE browser AND user_id = '{org.user.id}'"
        )
        browser.open("/me")
        row = await connection.fetchrow(f"SELECT *, now() - seen_at < interval '1 minute' AS noted FROM {theirs}")
    finally:
        await connection.close()
    assert row["noted"]
    assert row["agent"] == "Tests/1.0"
    assert browser.cookies[SESSION] not in str(dict(row))


async def test_what_a_page_asks_by_itself_does_not_keep_a_session_alive(
    visiting: Visiting, org: Org, database_url: str
) -> None:
    browser = visiting(org.user)
    [part] = [each for each in browser.page.all("div") if each.attrs.get("id") == "standing"]
    polled = {**msgspec.json.decode(part.attrs["hx-headers"]), "hx-request": "true"}
    connection = await asyncpg.connect(database_url)
    try:
        theirs = f"browser AND user_id = '{org.user.id}'"
        await connection.execute(
            f"UPDATE identity.refresh_tokens SET seen_at = now() - interval '11 hours' WHERE {theirs}"
        )
        assert browser._ask("GET", part.attrs["hx-get"], None, polled).status_code == 200
        seen = f"SELECT now() - seen_at < interval '1 hour' FROM identity.refresh_tokens WHERE {theirs}"
        assert not await connection.fetchval(seen)
        browser.open(part.attrs["hx-get"])
        assert await connection.fetchval(seen)
    finally:
        await connection.close()


def test_guessing_passwords_is_slowed_down_on_the_page_too(stranger: Browser) -> None:
    email = f"{uuid4().hex}@example.org"
    stranger.open("/login")
    for _ in range(10):
        stranger.press("Log in", email=email, password=PASSWORD)
        assert stranger.status == 401
        assert "E-mail address or password is wrong" in stranger.page.text
        assert stranger.page.one("input", name="email").attrs["value"] == email
        assert PASSWORD not in stranger.answer.text
    stranger.press("Log in", email=email, password=PASSWORD)
    assert stranger.status == 429
    assert "too many attempts" in stranger.page.text.lower()


def test_an_invite_is_accepted_by_its_link_and_leads_in(
    stranger: Browser, admin: Browser, house: Org, api: Api
) -> None:
    email = f"{uuid4().hex}@example.org"
    made = good(house.admin.client.post("/users/invite", json={"email": email, "role": "org-user"}))
    stranger.open(made["invite_url"].removeprefix(api.url))
    stranger.press("Join", name="Ada", password="too weak")
    assert stranger.status == 400
    assert "must have a digit in it" in stranger.page.text
    stranger.press("Join", name="Ada", password=PASSWORD)
    assert stranger.path == f"/orgs/{house.id}"
    assert "Welcome, Ada." in stranger.page.text
    other = Browser(api.url)
    other.open(made["invite_url"].removeprefix(api.url))
    other.press("Join", name="Eve", password=PASSWORD)
    assert other.status == 410
    assert "ask for a new one" in other.page.text


def test_who_joins_while_logging_in_is_slowed_down_is_told_to_log_in(house: Org, api: Api) -> None:
    sent = {"email": f"{uuid4().hex}@example.org", "password": PASSWORD}
    made = good(house.admin.client.post("/users/invite", json={"email": sent["email"], "role": "org-user"}))
    way = httpx.HTTPTransport(verify=False, local_address="127.0.0.2")
    with httpx.Client(base_url=f"{api.url}/api/v1", timeout=60, transport=way) as client:
        guesses = [client.post("/auth/login", json=sent).status_code for _ in range(PER_CLIENT + 1)]
    assert guesses[-1] == 429
    guesser = Browser(api.url, "127.0.0.2")
    guesser.open(made["invite_url"].removeprefix(api.url))
    guesser.press("Join", name="Ada", password=PASSWORD)
    assert guesser.path == "/login"
    assert "You are a member now; log in." in guesser.page.text


def test_what_somebody_does_on_a_page_is_audited_as_done_on_a_page(user: Browser, house: Org) -> None:
    user.open("/me")
    user.press("Save", name="Renamed on a page")
    [entry] = good(house.admin.client.get("/audit-logs", params={"source": "ui", "action": "user.renamed"}))["items"]
    assert (entry["source"], entry["actor"]) == ("ui", house.user.email)


def test_a_system_admin_sees_an_organisation_alone_and_makes_no_keys(
    operator: Browser, house: Org, org: Org, api: Api
) -> None:
    house.user.key("of the house")
    org.user.key("of the other")
    page = operator.open(f"/orgs/{org.id}/keys")
    assert "of the other" in page.text
    assert "of the house" not in page.text
    assert not [link for link in page.all("a") if link.text == "New key"]
    assert operator.open(f"/orgs/{org.id}/keys/new").one("h1").text == "Permission missing"
    assert operator.status == 403


def test_another_organisations_pages_are_not_there(user: Browser, foreign: Org) -> None:
    key = foreign.user.key()["id"]
    for path in ("", "/keys", "/keys/new", f"/keys/{key}", f"/keys/{key}/revoke"):
        user.open(f"/orgs/{foreign.id}{path}")
        assert user.status == 404, path
    own = user.open("/").all("a")
    assert own
    user.open(f"{user.path}/keys/{key}")
    assert user.status == 404
    assert ROOT not in user.answer.text


def test_a_member_without_an_organisation_of_the_page_is_not_named_in_it(api: Api, house: Org) -> None:
    member = new_member(api, house.admin.client, house.id)
    browser = Browser(api.url)
    browser.login(member.email, PASSWORD)
    assert browser.path == f"/orgs/{house.id}"

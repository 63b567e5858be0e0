"""Members on pages: invited by a link, changed, suspended and removed, all without JavaScript."""

from urllib.parse import urlsplit

from ias.paging import DEFAULT_LIMIT
from tests.integration.console.browser import Browser
from tests.integration.console.conftest import Visiting
from tests.integration.identity.conftest import PASSWORD, Api, Org, good, new_member

SCRIPT = "<script>alert(1)</script>"


def test_somebody_invited_by_a_page_accepts_by_the_link_and_is_in_the_list(
    admin: Browser, stranger: Browser, house: Org
) -> None:
    admin.open(f"/orgs/{house.id}/members")
    admin.follow("Invite")
    admin.press("Make the link", email="no address")
    assert admin.status == 400
    assert admin.page.one("input", id="f-email").attrs["value"] == "no address"
    assert "must be an e-mail address" in admin.page.one("p", id="f-email-fault").text
    admin.press("Make the link", email="radia@example.org", role="org-admin")
    link = urlsplit(admin.page.one("code", id="link").text)
    assert admin.answer.headers["cache-control"] == "no-store"
    admin.follow("I have copied it")
    assert link.query not in admin.answer.text
    assert "radia@example.org" in admin.page.one("section", aria_labelledby="invited-title").text
    stranger.open(f"{link.path}?{link.query}")
    stranger.press("Join", name="Radia Perlman", password=PASSWORD)
    stranger.login("radia@example.org", PASSWORD)
    assert stranger.path == f"/orgs/{house.id}"
    admin.open(f"/orgs/{house.id}/members?search=RADIA")
    row = admin.page.one("section", id="results").one("tbody").one("tr").text
    assert row.startswith("Radia Perlman radia@example.org Admin active 0")
    assert row.endswith("just now")
    assert "radia@example.org" not in admin.open(f"/orgs/{house.id}/members?search=%25").text


def test_invites_are_read_page_by_page_beside_the_members(org: Org, visiting: Visiting) -> None:
    for number in range(DEFAULT_LIMIT + 1):
        good(org.admin.client.post("/users/invite", json={"email": f"n{number:02}@{org.tag.lower()}.example.org"}))
    admin = visiting(org.admin)
    admin.open(f"/orgs/{org.id}/members")
    newest = admin.page.one("section", aria_labelledby="invited-title").text
    assert f"n{DEFAULT_LIMIT}@" in newest
    assert "n00@" not in newest
    admin.follow("Older")
    oldest = admin.page.one("section", aria_labelledby="invited-title").text
    assert "n00@" in oldest
    assert "n01@" not in oldest
    assert org.user.email in admin.page.text
    admin.follow("Newest")
    assert "n00@" not in admin.page.text


def test_a_new_link_takes_the_place_of_the_one_before_and_a_withdrawn_one_is_gone(
    admin: Browser, stranger: Browser, house: Org
) -> None:
    admin.open(f"/orgs/{house.id}/members/invite")
    admin.press("Make the link", email="ken@example.org")
    first = urlsplit(admin.page.one("code", id="link").text)
    admin.follow("I have copied it")
    admin.press("New link")
    second = urlsplit(admin.page.one("code", id="link").text)
    for link, status in ((first, 410), (second, 200)):
        stranger.open(f"{link.path}?{link.query}")
        if status != 200:
            stranger.press("Join", name="Ken", password=PASSWORD)
        assert stranger.status == status
    admin.follow("I have copied it")
    admin.press("Withdraw")
    assert "its link works no more" in admin.page.text
    stranger.press("Join", name="Ken", password=PASSWORD)
    assert stranger.status == 410


def test_a_member_is_renamed_suspended_reinstated_and_removed_with_their_keys(
    api: Api, admin: Browser, house: Org
) -> None:
    member = new_member(api, house.admin.client, house.id)
    key = member.key("nightly batch")
    here = f"/orgs/{house.id}/members/{member.id}"
    admin.open(here)
    assert "nightly batch" in admin.page.text
    admin.press("Save", name=" ", role="org-admin")
    assert admin.status == 400
    assert "must be 1 to 100 characters" in admin.page.one("p", id="f-name-fault").text
    admin.press("Save", name=SCRIPT, role="org-admin")
    assert "may manage the organisation" in admin.page.one("div", role="status").text
    assert admin.page.one("h1").text == SCRIPT
    assert good(house.admin.client.get(f"/users/{member.id}"))["role"] == "org-admin"
    admin.follow("Suspend")
    assert "one key stops working within a second" in admin.page.text
    admin.press("Suspend them")
    assert member.client.get("/me").status_code == 401
    admin.press("Reinstate")
    assert "may log in again" in admin.page.text
    admin.follow("Remove")
    assert "“nightly batch”" in admin.page.text
    admin.press("Remove them")
    assert admin.path == f"/orgs/{house.id}/members"
    assert good(house.admin.client.get(f"/api-keys/{key['id']}"))["revoked_at"] is not None
    assert admin.open(here) is not None
    assert admin.status == 404


def test_keys_that_work_no_more_are_neither_shown_nor_counted(api: Api, admin: Browser, house: Org) -> None:
    member = new_member(api, house.admin.client, house.id)
    for label in ("over already", "still working"):
        key = member.key(label)
        if label == "over already":
            good(member.client.delete(f"/api-keys/{key['id']}"))
    admin.open(f"/orgs/{house.id}/members/{member.id}")
    assert "still working" in admin.page.text
    assert "over already" not in admin.page.text
    admin.follow("Suspend")
    assert "one key stops working within a second" in admin.page.text


def test_what_somebody_changed_meanwhile_is_not_overwritten(api: Api, admin: Browser, house: Org) -> None:
    member = new_member(api, house.admin.client, house.id)
    admin.open(f"/orgs/{house.id}/members/{member.id}")
    good(house.admin.client.patch(f"/users/{member.id}", json={"name": "Grace"}))
    admin.press("Save", name="Hopper")
    assert admin.status == 412
    assert good(house.admin.client.get(f"/users/{member.id}"))["name"] == "Grace"


def test_one_does_not_suspend_oneself_and_the_last_admin_stays(
    admin: Browser, operator: Browser, house: Org, org: Org, visiting: Visiting
) -> None:
    admin.open(f"/orgs/{house.id}/members/{house.admin.id}")
    assert "Another admin can suspend or remove you" in admin.page.text
    assert not [form for form in admin.page.all("form") if form.attrs.get("action", "").endswith("/remove")]
    operator.open(f"/orgs/{org.id}/members/{org.admin.id}/remove")
    operator.press("Remove them")
    assert operator.status == 409
    assert "last org-admin" in operator.page.text
    lonely = visiting(org.admin)
    lonely.open(f"/orgs/{org.id}/members/{org.admin.id}")
    lonely.press("Save", role="org-user")
    assert lonely.status == 409
    assert "make somebody else one first" in lonely.page.text


def test_members_are_for_admins_and_of_ones_own_organisation(
    user: Browser, admin: Browser, operator: Browser, house: Org, foreign: Org
) -> None:
    user.open(f"/orgs/{house.id}/members")
    assert user.status == 403
    assert "Members" not in user.open(f"/orgs/{house.id}").one("nav", aria_label="Main").text
    for path in ("", "/invite", f"/{foreign.user.id}", f"/{foreign.user.id}/remove"):
        admin.open(f"/orgs/{foreign.id}/members{path}")
        assert admin.status == 404, path
    # Who may act in every organisation acts in that of the page.
    for browser in (admin, operator):
        browser.open(f"/orgs/{house.id}/members/{foreign.user.id}")
        assert browser.status == 404
    operator.open(f"/orgs/{house.id}/members")
    assert house.user.email in operator.page.text


def test_system_admins_set_a_password_and_nobody_else_does(
    operator: Browser, admin: Browser, house: Org, api: Api, stranger: Browser
) -> None:
    member = new_member(api, house.admin.client, house.id)
    here = f"/orgs/{house.id}/members/{member.id}"
    assert "Forgot the password? Ask an admin of your organisation" in stranger.open("/login").text
    operator.open(here)
    operator.press("Set the password", new_password="short")
    assert operator.status == 400
    assert operator.page.one("p", id="f-new_password-fault").text
    operator.press("Set the password", new_password="Wrong-horse-8-battery!")
    assert "The password is set" in operator.page.text
    assert member.client.get("/me").status_code == 401
    stranger.login(member.email, "Wrong-horse-8-battery!")
    assert stranger.path == f"/orgs/{house.id}"
    assert "Set the password" not in admin.open(here).text
    assert f"Ask a system admin to set a new one for {member.email}." in admin.page.text
    admin.send(f"{here}/reset-password", {"csrf": admin.csrf, "new_password": PASSWORD})
    assert admin.status == 403


def test_a_forged_cursor_is_a_page_that_says_so(admin: Browser, house: Org) -> None:
    admin.open(f"/orgs/{house.id}/members?cursor=forged")
    assert admin.status == 400
    assert "not one that this API gave" in admin.page.text

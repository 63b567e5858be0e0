"""Organisations on the pages of those who run the platform."""

from uuid import uuid4

import httpx

from tests.integration.console.browser import Browser
from tests.integration.identity.conftest import Api, Org, good, new_member

SCRIPT = "<script>alert(1)</script>"


def test_an_organisation_is_created_found_renamed_and_removed(operator: Browser) -> None:
    mark = uuid4().hex[:10]
    operator.open("/orgs")
    operator.follow("New organisation")
    operator.press("Create it", name=" ")
    assert operator.status == 400
    assert "must be 1 to 100 characters" in operator.page.one("p", id="f-name-fault").text
    operator.press("Create it", name=f"{SCRIPT} {mark}")
    assert "Invite its first admin" in operator.page.one("div", role="status").text
    operator.press("Rename", name=f"Northwind {mark}")
    operator.open("/orgs/new")
    operator.press("Create it", name=f"NORTHWIND {mark}")
    assert operator.status == 409
    operator.open("/orgs")
    operator.press("Apply", search=f"northwind {mark}", state="active")
    assert operator.page.one("section", id="results").one("tbody").one("tr").text.startswith(f"Northwind {mark}")
    operator.follow(f"Northwind {mark}")
    operator.follow("Remove…")
    operator.press("Remove it for good", name="Northwind")
    assert operator.status == 400
    assert "write the name of the organisation" in operator.page.one("p", id="f-name-fault").text
    operator.press("Remove it for good", name=f"Northwind {mark}")
    assert "None is like that" in operator.open(f"/orgs?search={mark}").text


def test_suspending_says_whom_it_hits_and_keeps_the_reason(operator: Browser, org: Org, root: httpx.Client) -> None:
    org.user.key()
    operator.open(f"/orgs/{org.id}/administration")
    operator.follow("Suspend…")
    assert "one key stops working within a second, and 3 members are turned away" in operator.page.text
    operator.press("Suspend it", reason="x" * 101)
    assert operator.status == 400
    assert "must be 1 to 100 characters" in operator.page.one("p", id="f-reason-fault").text
    operator.press("Suspend it", reason=f"unpaid since May {SCRIPT}")
    assert operator.status == 200
    assert f"by root@example.org: unpaid since May {SCRIPT}" in operator.page.text
    assert "This organisation is suspended" in operator.page.text
    assert org.user.client.get("/me").status_code == 403
    assert "One key works again" in operator.page.text
    operator.press("Resume")
    assert org.user.client.get("/me").status_code == 200
    asked = {"org_id": org.id, "action": "organisation.suspended"}
    [entry] = good(root.get("/audit-logs", params=asked))["items"]
    assert entry["after"]["reason"] == f"unpaid since May {SCRIPT}"
    assert entry["source"] == "ui"


def test_what_an_organisation_has_is_counted(api: Api, operator: Browser, org: Org, root: httpx.Client) -> None:
    extra = new_member(api, root, org.id)
    good(root.patch(f"/users/{extra.id}", json={"status": "suspended"}))
    good(root.post("/users/invite", json={"email": f"{uuid4().hex}@example.org", "org_id": org.id}))
    operator.open(f"/orgs/{org.id}/administration")
    stats = operator.page.one("dl", class_="stats").text
    assert stats.startswith("Members 4 1 suspended, 1 invited Keys that work 0 Requests this month 0")
    assert "0 of 1,000,000 tokens this month" in operator.page.text


def test_only_those_who_run_the_platform_see_organisations(admin: Browser, operator: Browser, house: Org) -> None:
    for path in ("/orgs", "/orgs/new", f"/orgs/{house.id}/administration", f"/orgs/{house.id}/administration/suspend"):
        admin.open(path)
        assert admin.status == 403, path
    assert "Organisations" not in admin.open(f"/orgs/{house.id}").one("nav", aria_label="Main").text
    operator.open(f"/orgs/{uuid4()}/administration")
    assert operator.status == 404


def test_a_filter_that_is_none_is_a_page_that_says_so(operator: Browser) -> None:
    operator.open("/orgs?state=bogus")
    assert operator.status == 400
    assert "state" in operator.page.text.lower()
    operator.open("/orgs?search=%25%25%25%25&state=suspended")
    assert "None is like that" in operator.page.text


def test_the_api_finds_organisations_and_members_by_a_part_of_their_names(root: httpx.Client, org: Org) -> None:
    found = good(root.get("/organizations", params={"search": org.name.upper(), "state": "active"}))["items"]
    assert [each["id"] for each in found] == [org.id]
    for whole in (org.tag, org.id):
        assert [each["id"] for each in good(root.get("/organizations", params={"search": whole}))["items"]] == [org.id]
    assert good(root.get("/organizations", params={"search": org.name, "state": "suspended"}))["items"] == []
    assert good(org.admin.client.get("/organizations", params={"search": "%"}))["items"] == []
    mine = good(org.admin.client.get("/users", params={"search": org.user.email.upper()}))["items"]
    assert [each["id"] for each in mine] == [org.user.id]
    assert good(org.admin.client.get("/users", params={"search": "_"}))["items"] == []

"""The audit log on pages: searched by the address, read before and after, taken away as a file."""

import csv
import io

import httpx
import msgspec

from tests.integration.console.browser import Browser
from tests.integration.identity.conftest import Api, Org, good, new_member

SCRIPT = "<script>alert(1)</script>"


def rows(browser: Browser) -> list[str]:
    """The entries that a page shows."""
    return [row.text for row in browser.page.one("section", id="results").one("tbody").all("tr")]


def test_who_did_what_is_found_by_filters_and_read_before_and_after(admin: Browser, house: Org, api: Api) -> None:
    member = new_member(api, house.admin.client, house.id)
    good(house.admin.client.patch(f"/users/{member.id}", json={"name": SCRIPT, "role": "org-admin"}))
    admin.open(f"/orgs/{house.id}/audit")
    admin.press("Apply", action="user.changed", target_id=member.id, source="api", since="2026-01-01")
    [row] = rows(admin)
    assert "role org-user → org-admin" in row
    assert f"name Member → {SCRIPT}" in row
    assert house.admin.email in row
    admin.follow("user.changed")
    table = admin.page.one("table").text
    assert f"name Member {SCRIPT}" in table
    assert "role org-user org-admin" in table
    admin.follow("All that was done to it")
    assert len(rows(admin)) == 2
    admin.open(f"/orgs/{house.id}/audit?actor={member.email.upper()}&action=user.changed")
    assert "Nothing is like that" in admin.page.text
    admin.open(f"/orgs/{house.id}/audit?actor={house.admin.email.upper()}&action=user.changed&target_id={member.id}")
    assert len(rows(admin)) == 1


def test_secrets_are_masked_and_fields_that_stayed_are_not_told(admin: Browser, house: Org, api: Api) -> None:
    member = new_member(api, house.admin.client, house.id)
    sent = {"current_password": "Correct-horse-7-battery!", "new_password": "Wrong-horse-8-battery!"}
    good(member.client.put("/me/password", json=sent))
    admin.open(f"/orgs/{house.id}/audit?action=password.changed&target_id={member.id}")
    assert "password *** → ***" in rows(admin)[0]
    member.key("a label")
    admin.open(f"/orgs/{house.id}/audit?action=key.issued&actor={member.email}")
    assert "label a label" in rows(admin)[0]
    assert "expires_at" not in rows(admin)[0]


def test_the_log_is_taken_away_as_a_file_with_the_same_filters(admin: Browser, house: Org, api: Api) -> None:
    member = new_member(api, house.admin.client, house.id)
    good(house.admin.client.patch(f"/users/{member.id}", json={"name": "=1+1"}))
    admin.open(f"/orgs/{house.id}/audit?action=user.changed&target_id={member.id}")
    admin.follow("CSV")
    assert admin.answer.headers["content-disposition"] == 'attachment; filename="audit-log.csv"'
    assert admin.answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert admin.answer.headers["cache-control"] == "no-store"
    assert admin.answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in admin.answer.headers["content-security-policy"]
    [row] = csv.DictReader(io.StringIO(admin.answer.text))
    assert (row["action"], row["target_id"], row["actor"]) == ("user.changed", member.id, house.admin.email)
    assert msgspec.json.decode(row["after"]) == {"name": "=1+1"}
    admin.open(f"/orgs/{house.id}/audit?action=user.changed&target_id={member.id}")
    admin.follow("JSON lines")
    assert admin.answer.headers["content-type"].startswith("application/x-ndjson")
    assert admin.answer.headers["cache-control"] == "no-store"
    [line] = admin.answer.text.splitlines()
    assert msgspec.json.decode(line)["target_id"] == member.id


def test_filters_that_are_none_are_named_and_kept(admin: Browser, house: Org) -> None:
    for query, said in (
        ("target_id=junk", "target_id: write a whole id"),
        ("source=junk", "source: choose one of the list"),
        ("since=junk", "since: write a date"),
    ):
        admin.open(f"/orgs/{house.id}/audit?{query}")
        assert admin.status == 400
        assert said in admin.page.one("div", role="alert").text
    admin.open(f"/orgs/{house.id}/audit?target_id=junk")
    assert admin.page.one("input", name="target_id").attrs["value"] == "junk"
    admin.open(f"/orgs/{house.id}/audit?cursor=forged")
    assert admin.status == 400
    admin.open(f"/orgs/{house.id}/audit/export?source=junk")
    assert admin.status == 400


def test_the_log_goes_on_by_cursors_and_says_that_it_is_whole(api: Api, admin: Browser, house: Org) -> None:
    for number in range(51):
        good(house.admin.client.patch("/me", json={"name": f"Ada {number}"}))
    asked = f"/orgs/{house.id}/audit?action=user.renamed"
    admin.open(asked)
    assert len(rows(admin)) == 50
    admin.follow("Older")
    assert "action=user.renamed" in admin.path
    assert "Ada 0" in rows(admin)[0]
    admin.follow("Newest")
    assert admin.path == asked
    admin.follow("Verify")
    assert "It is whole" in admin.page.text


def test_those_who_run_the_platform_see_every_organisation_and_nobody_else_does(
    operator: Browser, admin: Browser, house: Org, foreign: Org, root: httpx.Client
) -> None:
    operator.open("/audit?action=organisation.created")
    assert {house.name, foreign.name} <= {link.text for link in operator.page.all("a")}
    operator.follow("organisation.created")
    assert operator.path.startswith("/audit/")
    assert operator.status == 200
    [entry] = good(root.get("/audit-logs", params={"org_id": foreign.id, "action": "organisation.created"}))["items"]
    for browser in (admin, operator):
        browser.open(f"/orgs/{house.id}/audit/{entry['id']}")
        assert browser.status == 404
    for path in ("/audit", "/audit/export", "/audit/verification"):
        admin.open(path)
        assert admin.status == 403, path
    admin.open(f"/orgs/{foreign.id}/audit")
    assert admin.status == 404


def test_users_do_not_read_the_log(user: Browser, house: Org) -> None:
    user.open(f"/orgs/{house.id}/audit")
    assert user.status == 403


def test_the_api_finds_entries_by_the_address_of_whoever_did_it(root: httpx.Client, org: Org) -> None:
    asked = {"actor": org.admin.email, "action": "user.invited", "org_id": org.id}
    assert {entry["actor"] for entry in good(root.get("/audit-logs", params=asked))["items"]} == {org.admin.email}
    assert good(root.get("/audit-logs", params=asked | {"actor": "nobody@example.org"}))["items"] == []
    assert good(root.get("/audit-logs", params=asked | {"actor": "system"}))["items"] == []

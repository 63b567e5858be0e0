"""The audit log: every write is in it, it tells no secret, and the application can only add to it."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import msgspec
import pytest

from tests.integration.identity.conftest import PASSWORD, Api, Org, good


def entries(client: httpx.Client, **query: str) -> list[dict[str, Any]]:
    return good(client.get("/audit-logs", params={"limit": "200"} | query))["items"]


def test_every_write_is_in_the_log(api: Api, root: httpx.Client, org: Org) -> None:
    admin, user = org.admin.client, org.user.client
    key = org.user.key()
    user.delete(f"/api-keys/{key['id']}")
    user.patch("/me", json={"name": "Ada"})
    user.put("/me/password", json={"current_password": PASSWORD, "new_password": "Another-battery-9-staple"})
    root.post(f"/users/{org.other.id}/reset-password", json={"new_password": "Another-battery-9-staple"})
    admin.patch(f"/users/{org.other.id}", json={"name": "Eve"})
    root.patch(f"/organizations/{org.id}", json={"name": f"renamed {uuid4().hex}"})
    root.post(f"/organizations/{org.id}/suspend")
    root.post(f"/organizations/{org.id}/resume")
    user.post("/auth/logout")
    admin.delete(f"/users/{org.other.id}")
    seen = [entry["action"] for entry in entries(admin)]
    assert set(seen) == {
        *("organisation.created", "organisation.renamed", "organisation.suspended", "organisation.resumed"),
        *("user.invited", "user.created", "user.renamed", "user.changed", "user.removed"),
        *("session.started", "session.ended", "password.changed", "password.reset"),
        *("key.issued", "key.revoked"),
    }


def test_an_entry_says_who_what_before_and_after_and_by_which_request(org: Org) -> None:
    answer = org.admin.client.patch(
        f"/users/{org.user.id}", json={"name": "Eve"}, headers={"x-request-id": "r-1", "x-ias-source": "cli"}
    )
    assert answer.headers["x-request-id"] == "r-1"
    entry = entries(org.admin.client, target_id=org.user.id, action="user.changed")[0]
    assert (entry["actor"], entry["actor_id"]) == (org.admin.email, org.admin.id)
    assert (entry["before"], entry["after"]) == ({"name": "Member"}, {"name": "Eve"})
    assert (entry["source"], entry["request_id"]) == ("cli", "r-1")
    assert good(org.admin.client.get(f"/audit-logs/{entry['id']}")) == entry


@pytest.mark.parametrize("said", ["ui", "git", "system", "x", ""])
def test_a_client_cannot_say_that_it_is_a_page_git_or_the_system(org: Org, said: str) -> None:
    org.user.client.patch("/me", json={"name": "Ada"}, headers={"x-ias-source": said})
    assert entries(org.admin.client, action="user.renamed")[0]["source"] == "api"


def test_a_refused_write_leaves_no_entry(org: Org) -> None:
    before = entries(org.admin.client)
    assert org.admin.client.delete(f"/users/{org.admin.id}").status_code == 409
    assert org.user.client.post("/api-keys", json={"label": ""}).status_code == 400
    assert entries(org.admin.client) == before


def test_the_log_holds_no_secret(org: Org) -> None:
    token = org.user.key()["token"]
    text = org.admin.client.get("/audit-logs?limit=200").text
    assert token not in text
    assert PASSWORD not in text
    assert "$2b$" not in text


def test_entries_are_found_by_who_what_and_when(org: Org) -> None:
    middle = datetime.now(UTC).isoformat()
    key = org.user.key()["id"]
    client = org.admin.client
    assert {entry["actor_id"] for entry in entries(client, actor_id=org.user.id)} == {org.user.id}
    assert [entry["target_id"] for entry in entries(client, since=middle)] == [key]
    assert key not in {entry["target_id"] for entry in entries(client, until=middle)}
    assert entries(client, action="%") == []
    assert entries(client, action="'; DROP TABLE identity.audit_log; --") == []


def test_entries_are_found_by_the_door_that_they_came_in_by(org: Org) -> None:
    client = org.admin.client
    for source in ("cli", "api"):
        headers = {"x-ias-source": source, "x-request-id": f"by-{source}"}
        good(org.user.client.patch("/me", json={"name": source}, headers=headers))
    assert [entry["request_id"] for entry in entries(client, source="cli")] == ["by-cli"]
    assert {entry["source"] for entry in entries(client, source="api")} == {"api"}
    for source in ("git", "ui"):
        assert entries(client, source=source) == []
    assert len(client.get("/audit-logs/export", params={"source": "cli"}).text.splitlines()) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"since": "yesterday"},
        {"since": "0001-01-01T00:00:00"},
        {"until": "0001-01-01T00:00:00+14:00"},
        {"source": "me"},
        {"actor_id": "x"},
        {"limit": "201"},
        {"cursor": "x"},
    ],
)
def test_a_bad_filter_is_a_400(org: Org, query: dict[str, str]) -> None:
    assert org.admin.client.get("/audit-logs", params=query).status_code == 400


def test_a_system_admin_sees_all_of_it(root: httpx.Client, org: Org) -> None:
    assert {entry["org_id"] for entry in entries(root, org_id=org.id)} == {org.id}
    assert any(entry["action"] == "organisation.created" for entry in entries(root))


@pytest.mark.parametrize(
    "forbidden",
    [
        "UPDATE identity.audit_log SET actor = 'nobody'",
        "DELETE FROM identity.audit_log",
        "TRUNCATE identity.audit_log",
        "DROP TABLE identity.audit_log",
        "ALTER TABLE identity.audit_log DISABLE ROW LEVEL SECURITY",
        "UPDATE identity.role_permissions SET role = 'org-user'",
    ],
)
async def test_the_applications_role_cannot_change_the_log(database_url: str, org: Org, forbidden: str) -> None:
    connection = await asyncpg.connect(database_url, server_settings={"role": "ias_app", "app.everywhere": "on"})
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(forbidden)
    await connection.close()


async def tampered(database_url: str, statement: str, *values: object) -> None:
    """What somebody with the owner's rights might do."""
    connection = await asyncpg.connect(database_url, server_settings={"app.everywhere": "on"})
    try:
        await connection.execute(statement, *values)
    finally:
        await connection.close()


def verification(client: httpx.Client, **query: str) -> dict[str, Any]:
    return good(client.get("/audit-logs/verification", params=query))


def test_an_untouched_log_verifies(org: Org, root: httpx.Client) -> None:
    found = verification(org.admin.client)
    assert found == {"chains": 1, "entries": len(entries(org.admin.client)), "faults": []}
    assert verification(root, org_id=org.id) == found


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE identity.audit_log SET actor = 'nobody' WHERE id = $1",
        'UPDATE identity.audit_log SET after = after || \'{"role": "system-admin"}\' WHERE id = $1',
        "UPDATE identity.audit_log SET created_at = created_at - interval '1 day' WHERE id = $1",
        "UPDATE identity.audit_log SET hash = sha256('x') WHERE id = $1",
    ],
)
async def test_a_changed_entry_is_found_and_named(org: Org, database_url: str, change: str) -> None:
    entry = entries(org.admin.client, action="user.created")[-1]
    await tampered(database_url, change, entry["id"])
    faults = verification(org.admin.client)["faults"]
    assert entry["id"] in {fault["entry_id"] for fault in faults}
    assert {fault["seq"] for fault in faults} <= {entry["seq"], entry["seq"] + 1}


async def test_ias_admin_audit_verify_names_a_changed_entry_and_ends_with_1(
    api: Api, org: Org, database_url: str
) -> None:
    token = org.admin.client.headers["authorization"].removeprefix("Bearer ")
    shell = Api(api.process, dict(api.env) | {"IAS_API_URL": api.url, "IAS_ACCESS_TOKEN": token})
    whole = shell.command("ias-admin", "audit", "verify")
    assert (whole.returncode, whole.stdout) == (0, "")
    entry = entries(org.admin.client, action="user.created")[-1]
    await tampered(database_url, "UPDATE identity.audit_log SET actor = 'nobody' WHERE id = $1", entry["id"])
    broken = shell.command("ias-admin", "audit", "verify")
    assert broken.returncode == 1
    assert entry["id"] in broken.stdout
    assert "as it was written" in broken.stdout


async def test_a_lost_entry_is_found(org: Org, database_url: str) -> None:
    entry = entries(org.admin.client, action="user.created")[-1]
    await tampered(database_url, "DELETE FROM identity.audit_log WHERE id = $1", entry["id"])
    faults = verification(org.admin.client)["faults"]
    assert [fault["detail"] for fault in faults] == [f"entries {entry['seq']} to {entry['seq']} are missing"]


async def test_a_log_that_was_cut_short_is_found(org: Org, database_url: str) -> None:
    newest = entries(org.admin.client)[0]
    await tampered(database_url, "DELETE FROM identity.audit_log WHERE id = $1", newest["id"])
    assert "the last ones are missing" in verification(org.admin.client)["faults"][0]["detail"]


def test_another_organisations_chain_is_not_found(org: Org, foreign: Org) -> None:
    assert org.admin.client.get("/audit-logs/verification", params={"org_id": foreign.id}).status_code == 404
    assert org.admin.client.get("/audit-logs/export", params={"org_id": foreign.id}).status_code == 404


def test_an_export_has_every_entry_once_oldest_first(org: Org) -> None:
    answer = org.admin.client.get("/audit-logs/export")
    lines = [msgspec.json.decode(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert lines == entries(org.admin.client)[::-1]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))


def test_what_is_done_while_an_export_is_fetched_is_not_in_it(api: Api, org: Org) -> None:
    done = api.command("python", "-c", _FETCHED_SLOWLY, org.id, org.admin.id)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["before", "True", "after", "False"]


_FETCHED_SLOWLY = """
import asyncio, sys
from uuid import UUID
from ias.db import close_pool, open_pool, transaction
from ias.identity.access.domain import Permission, Principal
from ias.identity.audit import queries
from ias.identity.audit.actions import record
from ias.identity.audit.domain import Filters
from ias.settings import settings

async def main():
    queries.EXPORTED_AT_ONCE = 1
    org_id, user_id = map(UUID, sys.argv[1:])
    may = frozenset(Permission)
    who = Principal(user_id=user_id, email="", org_id=org_id, org_tag="", permissions=may, session_id=user_id)
    async def note(action):
        async with transaction(who):
            await record(who, action, user_id)
    await open_pool(settings().database_url, 2, "tests")
    await note("test.before")
    entries = await queries.exported(who, Filters(org_id=org_id))
    seen = [(await anext(entries)).action]
    await note("test.after")
    seen += [entry.action async for entry in entries]
    print("before", "test.before" in seen, "after", "test.after" in seen)
    await close_pool()

asyncio.run(main())
"""


def test_an_export_goes_by_the_filters(org: Org) -> None:
    lines = org.admin.client.get("/audit-logs/export", params={"action": "user.created"}).text.splitlines()
    assert {msgspec.json.decode(line)["action"] for line in lines} == {"user.created"}

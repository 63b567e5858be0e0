"""GitOps on pages: how to begin, binding, what is wrong, what is held, what drifted, and leaving Git aside."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg
import httpx
import msgspec
import pytest

from tests.integration.console.browser import Browser
from tests.integration.console.conftest import Visiting
from tests.integration.identity.conftest import Org, good

COMMIT = "8f3c2b1a9d7e6f5041c2b3a495867d0e1f2a3b4c"
EVIL = "<script>alert(1)</script>"
FAULTS = [{"line": 8, "column": 5, "path": "spec.budgets", "detail": f"{EVIL} is not known here"}]
POLICY = """\
apiVersion: ias.linode.com/v1
kind: Organization
metadata:
  name: {name}
spec:
  budgets:
    monthly_tokens: {tokens}
"""


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """The database, as what writes there beside the pages: a worker that has looked at a repository."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
def bound(root: httpx.Client, org: Org) -> Org:
    """An organisation of the test's own that is bound to a repository, at which nobody looks."""
    asked = {"repository": f"https://git.example.org/{uuid4().hex}.git"}
    good(root.post(f"/organizations/{org.id}/gitops/enable", json=asked))
    return org


def test_an_organisation_without_git_is_told_how_to_begin(admin: Browser, user: Browser, house: Org) -> None:
    here = f"/orgs/{house.id}/gitops"
    admin.open(here)
    assert f"orgs/{house.name}/org.yaml" in admin.page.text
    assert "apiVersion: ias.linode.com/v1" in admin.page.text
    assert "Ask a system admin to bind this organisation." in admin.page.text
    assert "/api/v1/gitops/webhook" in admin.page.text
    for path in ("/bind", "/unbind", "/approve"):
        admin.open(f"{here}{path}")
        assert admin.status == 403, path
    for browser, path, status in ((user, here, 403), (admin, f"{here}/diff", 404)):
        browser.open(path)
        assert browser.status == status


def test_binding_says_what_is_wrong_beside_the_field_and_keeps_no_secret_on_the_page(
    operator: Browser, org: Org
) -> None:
    operator.open(f"/orgs/{org.id}/gitops")
    operator.follow("Bind it to a repository")
    operator.press("Bind it", repository="https://me:pw@git.example.org/x.git", token="the-secret-token")
    assert operator.status == 400
    assert "must have no password" in operator.page.one(id="f-repository-fault").text
    assert "the-secret-token" not in operator.answer.text
    operator.press("Bind it", repository="https://git.example.org/x.git", ssh_key="the-secret-key")
    assert "is for ssh" in operator.page.one(id="f-ssh_key-fault").text
    assert "the-secret-key" not in operator.answer.text
    operator.press("Bind it", repository="https://git.example.org/x.git")
    assert "waiting for its first look" in operator.page.text
    operator.press("Sync now")
    assert "A worker looks at the repository now" in operator.page.text
    operator.follow("Unbind it")
    operator.press("Unbind it")
    assert "Git manages it no more" in operator.page.text


async def test_faults_are_told_with_line_and_column_and_what_files_say_is_text(
    bound: Org, operator: Browser, visiting: Visiting, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    faults = msgspec.json.encode(FAULTS).decode()
    await owner.execute(
        "UPDATE gitops.bindings SET state = 'invalid', commit_seen = $2, faults = $3, applied_by = $4,"
        " applied_commit = $2, applied_at = now() WHERE org_id = $1",
        *(bound.id, COMMIT, faults, EVIL),
    )
    await owner.execute(
        "INSERT INTO gitops.drift (id, org_id, field, wanted, found, commit, changed_by_email, changed_at, source)"
        " VALUES ($1, $2, 'spec.budgets.monthly_tokens', '2000000', '3000000', $3, $4, now(), 'cli')",
        *(uuid4(), bound.id, COMMIT, EVIL),
    )
    await owner.execute(
        "INSERT INTO gitops.sync_runs (id, org_id, commit, author, subject, changes) VALUES ($1, $2, $3, $4, $4, $5)",
        *(
            uuid4(),
            bound.id,
            COMMIT,
            EVIL,
            msgspec.json.encode([{"field": EVIL, "before": None, "after": [1]}]).decode(),
        ),
    )
    for browser in (operator, visiting(bound.admin)):
        for path in ("", "/drift", "/history"):
            browser.open(f"/orgs/{bound.id}/gitops{path}")
            assert browser.status == 200
            assert EVIL in browser.page.text
            assert EVIL not in browser.answer.text
        browser.open(f"/orgs/{bound.id}/gitops")
        assert f"orgs/{bound.name}/org.yaml:8:5" in browser.page.text
        assert "3,000,000" in browser.page.text


async def test_a_held_commit_is_let_through_by_a_system_admin_alone(
    bound: Org, operator: Browser, visiting: Visiting, owner: "asyncpg.Connection[asyncpg.Record]"
) -> None:
    await owner.execute(
        "UPDATE gitops.bindings SET state = 'held', commit_seen = $2, held_for = $3 WHERE org_id = $1",
        *(bound.id, COMMIT, '["2 of 3 members would be removed, which is more than half"]'),
    )
    theirs = visiting(bound.admin)
    theirs.open(f"/orgs/{bound.id}/gitops")
    assert "more than half" in theirs.page.text
    assert "Look at it" not in theirs.page.text
    operator.open(f"/orgs/{bound.id}/gitops")
    operator.follow("Look at it")
    operator.press("Let it through")
    assert "The commit is approved" in operator.page.text
    approved = await owner.fetchval("SELECT approved_commit FROM gitops.bindings WHERE org_id = $1", bound.id)
    assert approved == COMMIT


def test_git_is_left_aside_for_a_while_with_a_reason_and_every_page_says_so(bound: Org, operator: Browser) -> None:
    operator.open(f"/orgs/{bound.id}/gitops")
    operator.press("Leave Git aside", reason=f"moving {EVIL}", until="2020-01-01T00:00")
    assert operator.status == 400
    assert "must lie ahead" in operator.page.one(id="f-until-fault").text
    operator.press("Leave Git aside", until="")
    assert operator.status == 400
    assert "write a date and a time" in operator.page.one(id="f-until-fault").text
    until = f"{datetime.now(UTC) + timedelta(hours=2):%Y-%m-%dT%H:%M}"
    operator.press("Leave Git aside", until=until)
    assert f"moving {EVIL}" in operator.page.text
    assert EVIL not in operator.answer.text
    operator.press("Go by Git again")
    assert "Git manages it again" in operator.page.text


def test_a_file_is_planned_before_it_is_pushed(bound: Org, visiting: Visiting, root: httpx.Client) -> None:
    good(root.patch(f"/organizations/{bound.id}/budget", json={"monthly_tokens": 5_000_000}))
    theirs = visiting(bound.admin)
    theirs.open(f"/orgs/{bound.id}/gitops")
    theirs.follow("Plan a file")
    theirs.press("Plan it", document=POLICY.format(name=bound.name, tokens=f"'{EVIL}'"))
    assert "It cannot be put into force" in theirs.page.text
    assert "org.yaml:7:21" in theirs.page.text
    assert EVIL not in theirs.answer.text
    theirs.press("Plan it", document=POLICY.format(name=bound.name, tokens=2_000_000))
    assert "5,000,000" in theirs.page.text
    assert "2,000,000" in theirs.page.text
    assert "It blocks nobody" in theirs.page.text


def test_another_organisations_git_is_not_found(admin: Browser, foreign: Org) -> None:
    for path in ("", "/drift", "/history", "/diff", "/plan"):
        admin.open(f"/orgs/{foreign.id}/gitops{path}")
        assert admin.status == 404, path

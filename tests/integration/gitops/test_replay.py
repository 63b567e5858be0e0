"""The requests of the ledger, replayed against a file; and whose rows are whose."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import httpx
import pytest

from ias.db import Within, transaction, uuid7
from ias.gitops.plans import queries
from ias.gitops.plans.answers import AskedReplay
from ias.identity.values import Principal
from tests.integration.gitops.conftest import Ground
from tests.integration.gitops.repos import Repo, policy, users
from tests.integration.identity.conftest import Api, Org, good, new_org

_LINE = """
INSERT INTO billing.ledger_lines (request_id, line, period, org_id, user_id, key_id, model, model_id, endpoint,
    prompt_tokens, completion_tokens, cached_tokens, cost, outcome, estimated, lower_bound, streamed, status, gateway,
    started_at, settled_at)
VALUES ($1, $2, $3, $4, $5, $5, $6, $5, 'chat', $7, 0, 0, 0, 'completed', false, false, false, 200, '', $8, $8)
"""


async def asked(ground: Ground, org: Org, user: str, days_ago: float, *tokens: int, model: str = "m") -> None:
    """A request of the ledger: its first line, and adjustments."""
    at, request = datetime.now(UTC) - timedelta(days=days_ago), uuid7()
    period = f"{at:%Y%m}"
    await ground.owner.execute("SELECT billing.open_period($1)", period)
    for line, count in enumerate(tokens, 1):
        row = (request, line, period, UUID(org.id), UUID(user), model, count, at)
        await ground.owner.execute(_LINE, *row)


def replay(who: httpx.Client, text: str, org: Org, days: int = 30) -> dict[str, object]:
    body = {"document": text, "org_id": org.id, "days": days}
    return good(who.post("/gitops/replay", json=body))


async def test_a_replay_tells_whose_requests_a_file_would_have_refused(ground: Ground, org: Org) -> None:
    await asked(ground, org, org.admin.id, 0.001, 100, -40)
    await asked(ground, org, org.user.id, 0.0005, 50)
    await asked(ground, org, org.user.id, 0.0004, 5, model="large")
    await asked(ground, org, org.other.id, 0.0003, 5)
    await asked(ground, org, org.other.id, 70, 5)
    spec = users((org.admin.email, "org-admin"), (org.user.email, "org-user", 40)) + "  budgets: {monthly_tokens: 60}\n"
    found = replay(org.admin.client, policy(org.name, spec), org)
    assert (found["requests"], found["refused"]) == (4, 3)
    assert {each["email"]: (each["requests"], each["reasons"]) for each in found["users"]} == {
        org.admin.email: (1, {}),
        org.user.email: (2, {"budget": 2}),
        org.other.email: (1, {"membership": 1}),
    }
    own = policy(org.name, users((org.admin.email, "org-admin"), (org.user.email, "org-user", 40)))
    by_own = {each["email"]: each["reasons"] for each in replay(org.admin.client, own, org)["users"]}
    assert by_own[org.user.email] == {"user-budget": 1}
    assert replay(org.admin.client, policy(org.name), org)["refused"] == 0
    # The file changes nothing.
    assert len(good(org.admin.client.get("/users"))["items"]) == 3


async def test_a_replay_has_an_end(ground: Ground, org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    await asked(ground, org, org.user.id, 0.0001, 5)
    await asked(ground, org, org.user.id, 0.0001, 5)
    who = Principal(
        user_id=UUID(org.admin.id),
        email=org.admin.email,
        org_id=UUID(org.id),
        org_tag=org.tag,
        permissions=frozenset(),
        session_id=UUID(int=0),
    )
    body = AskedReplay(document=policy(org.name), org_id=UUID(org.id))
    assert (await queries.replayed(who, body)).requests == 2
    async with queries.REPLAYS, queries.REPLAYS:
        with pytest.raises(queries.Busy, match="try again"):
            await queries.replayed(who, body)
    with monkeypatch.context() as patch:
        patch.setattr(queries, "REPLAY_S", 0.0)
        with pytest.raises(queries.Busy, match="takes more than"):
            await queries.replayed(who, body)
    monkeypatch.setattr(queries, "MOST_REQUESTS", 1)
    with pytest.raises(queries.Busy, match="more than 1 requests"):
        await queries.replayed(who, body)
    assert not queries.REPLAYS.locked()


def test_a_replay_of_a_file_that_is_none_tells_every_fault(ground: Ground, org: Org) -> None:
    body = {"document": policy(org.name, "  a: 1\n  b: 2\n"), "org_id": org.id}
    answer = org.admin.client.post("/gitops/replay", json=body)
    assert (answer.status_code, len(answer.json()["errors"])) == (400, 2)
    plan = good(org.admin.client.post("/gitops/plan", json=body))
    assert [fault["line"] for fault in plan["faults"]] == [6, 7]


def test_plans_of_another_organisation_are_not_there(org: Org, api: Api, root: httpx.Client) -> None:
    foreign = new_org(api, root)
    for path in ("/gitops/plan", "/gitops/replay"):
        body = {"document": policy(foreign.name), "org_id": foreign.id}
        assert org.admin.client.post(path, json=body).status_code == 404
        assert root.post(path, json={"document": "x"}).status_code == 400


async def test_an_organisation_sees_and_writes_its_own_rows_alone(
    ground: Ground, repo: Repo, org: Org, api: Api, root: httpx.Client
) -> None:
    foreign = new_org(api, root)
    repo.commit(
        {f"orgs/{each.name}/org.yaml": policy(each.name, metadata="  description: x\n") for each in (org, foreign)}
    )
    for each in (org, foreign):
        ground.bind(each, repo)
    await ground.reconcile()
    async with transaction(Within(UUID(org.id))) as connection:
        for table in ("bindings", "sync_runs", "drift"):
            rows = await connection.fetch(f"SELECT DISTINCT org_id::text FROM gitops.{table}")
            assert {row["org_id"] for row in rows} <= {org.id}, table
        assert await connection.execute("UPDATE gitops.bindings SET state = 'held' WHERE true") == "UPDATE 1"
    for statement in ("UPDATE gitops.sync_runs SET author = 'x'", "UPDATE gitops.drift SET field = 'x'"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with transaction(Within(UUID(org.id))) as connection:
                await connection.execute(statement)


async def test_a_removed_organisation_is_bound_no_more_and_its_repository_forgotten(
    ground: Ground, repo: Repo, org: Org
) -> None:
    repo.commit({f"orgs/{org.name}/org.yaml": policy(org.name)})
    ground.bind(org, repo)
    await ground.reconcile()
    good(ground.root.delete(f"/organizations/{org.id}"))
    await ground.reconcile()
    assert await ground.value("SELECT count(*) FROM gitops.bindings") == 0
    assert await ground.value("SELECT count(*) FROM gitops.repositories") == 0

"""What is held is held wherever it comes from; an approval is for one commit, and an offer for one binding."""

import asyncio
from uuid import UUID

import httpx
import pytest

from ias.db import EVERYWHERE, Connection, transaction
from ias.gitops.documents.reading import load
from ias.gitops.reconciler import actions, books
from ias.gitops.reconciler.domain import Offer
from ias.identity import Tenant
from tests.integration.gitops.conftest import Ground
from tests.integration.gitops.repos import Repo, policy, users
from tests.integration.identity.conftest import Api, Org, good, new_member

BUDGET = "  budgets:\n    monthly_tokens: {}\n"


def file_of(org: Org) -> str:
    return f"orgs/{org.name}/org.yaml"


def all_of(org: Org, admin_role: str = "org-admin") -> str:
    return users((org.admin.email, admin_role), (org.user.email, "org-user"), (org.other.email, "org-user"))


def budget(org: Org, who: httpx.Client) -> int:
    return good(who.get(f"/organizations/{org.id}/budget"))["monthly_tokens"]


async def test_putting_back_leaves_an_admin_until_a_system_admin_approves(ground: Ground, repo: Repo, org: Org) -> None:
    commit = repo.commit({file_of(org): policy(org.name, BUDGET.format(1000) + all_of(org))})
    ground.bind(org, repo)
    await ground.reconcile()
    good(ground.root.patch(f"/users/{org.user.id}", json={"role": "org-admin"}))
    good(ground.root.delete(f"/users/{org.admin.id}"))
    good(ground.root.patch(f"/organizations/{org.id}/budget", json={"monthly_tokens": 1001}))
    for _ in range(2):
        await ground.reconcile()
    status = ground.status(org)
    assert (status["state"], status["commit"]) == ("held", commit), status
    (reason,) = status["held_for"]
    assert "no admin who has an account would be left" in reason
    assert good(ground.root.get(f"/users/{org.user.id}"))["role"] == "org-admin"
    assert [person["email"] for person in status["expected"]] == [org.admin.email]
    assert budget(org, ground.root) == 1000
    ran = good(ground.root.get(f"/organizations/{org.id}/gitops/runs"))["items"][0]
    assert {each["field"] for each in ran["changes"]} == {
        "spec.budgets.monthly_tokens",
        f"spec.users[{org.admin.email}]",
    }
    good(ground.root.post(f"/organizations/{org.id}/gitops/approve", json={"commit": commit}))
    await ground.reconcile()
    assert good(ground.root.get(f"/users/{org.user.id}"))["role"] == "org-user"
    assert (ground.status(org)["state"], ground.status(org)["held_for"]) == ("in-force", [])


async def test_members_who_were_added_beside_git_are_not_removed_where_they_are_most_of_all(
    ground: Ground, repo: Repo, org: Org, api: Api
) -> None:
    repo.commit({file_of(org): policy(org.name, all_of(org))})
    ground.bind(org, repo)
    await ground.reconcile()
    added = [new_member(api, org.admin.client, org.id) for _ in range(4)]
    await ground.reconcile()
    assert "4 of 7 members would be removed" in ground.status(org)["held_for"][0]
    assert len(good(ground.root.get("/users", params={"org_id": org.id}))["items"]) == 7
    for member in added:
        good(org.admin.client.delete(f"/users/{member.id}"))
    await ground.reconcile()
    assert (ground.status(org)["state"], ground.status(org)["held_for"]) == ("in-force", [])


@pytest.mark.parametrize("spec", [BUDGET.format(1000), BUDGET.format(3000)], ids=["taken back", "held as well"])
async def test_an_approval_ends_where_the_branch_moves_on(ground: Ground, repo: Repo, org: Org, spec: str) -> None:
    first = {file_of(org): policy(org.name, BUDGET.format(1000) + all_of(org))}
    repo.commit(first)
    ground.bind(org, repo)
    await ground.reconcile()
    held = repo.commit({file_of(org): policy(org.name, BUDGET.format(2000) + all_of(org, "org-user"))})
    await ground.reconcile()
    assert ground.status(org)["state"] == "held"
    good(ground.root.post(f"/organizations/{org.id}/gitops/approve", json={"commit": held}))
    role = "org-admin" if "1000" in spec else "org-user"
    repo.commit({file_of(org): policy(org.name, spec + all_of(org, role))})
    await ground.reconcile()
    repo.git("reset", "--quiet", "--hard", held)
    await ground.reconcile()
    assert ground.status(org)["state"] == "held"
    assert budget(org, ground.root) == 1000


async def bound_to(ground: Ground, org: Org) -> tuple[Tenant, books.Bound]:
    """The binding as a worker has read it."""
    repository_id = await ground.value(
        "SELECT repository_id FROM gitops.bindings WHERE org_id = $1::text::uuid", org.id
    )
    async with transaction(EVERYWHERE) as connection:
        (bound,) = await books.bound_to(connection, repository_id)
    return Tenant(UUID(org.id), org.tag), bound


def offer_of(org: Org) -> Offer:
    document = load(policy(org.name, BUDGET.format(1000)).encode()).document
    assert document is not None
    return Offer(commit="a" * 40, blob="b" * 40, author="", subject="", document=document, lines={})


async def test_what_was_read_for_one_repository_is_not_put_into_force_under_another(
    ground: Ground, repo: Repo, org: Org
) -> None:
    ground.bind(org, repo)
    tenant, bound = await bound_to(ground, org)
    ground.bind(org, Repo(repo.folder.with_name(f"{repo.folder.name}-other")))
    assert await actions.put_into_force(tenant, bound, offer_of(org), ground.edge) is None
    assert (ground.status(org)["state"], budget(org, ground.root)) == ("waiting", 5_000_000)
    tenant, bound = await bound_to(ground, org)
    assert await actions.put_into_force(tenant, bound, offer_of(org), ground.edge) is not None
    assert (ground.status(org)["state"], budget(org, ground.root)) == ("in-force", 1000)


async def test_an_older_commit_is_not_put_over_a_newer_one_by_whoever_read_it_before(
    ground: Ground, repo: Repo, org: Org
) -> None:
    ground.bind(org, repo)
    tenant, bound = await bound_to(ground, org)
    newer = repo.commit({file_of(org): policy(org.name, BUDGET.format(3000))})
    await ground.reconcile()
    assert await actions.put_into_force(tenant, bound, offer_of(org), ground.edge) is None
    async with transaction(EVERYWHERE) as connection:
        await books.passed(connection, [bound], "c" * 40)
    assert (budget(org, ground.root), ground.status(org)["applied_commit"]) == (3000, newer)


async def test_a_file_of_the_repository_before_is_not_named_once_another_is_bound(
    ground: Ground, repo: Repo, org: Org
) -> None:
    repo.commit({file_of(org): policy(org.name, BUDGET.format(1000))})
    ground.bind(org, repo)
    await ground.reconcile()
    assert good(ground.root.get(f"/organizations/{org.id}"))["managed_by"]["repository"] == str(repo.folder)
    other = Repo(repo.folder.with_name(f"{repo.folder.name}-other"))
    other.commit({"README": "no policy here"})
    ground.bind(org, other)
    for _ in range(2):
        assert good(ground.root.get(f"/organizations/{org.id}"))["managed_by"] is None
        await ground.reconcile()
    assert ground.status(org)["state"] == "missing"


async def test_what_the_database_does_not_take_is_told_of(
    ground: Ground, repo: Repo, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def untakable(connection: Connection, *_: object) -> None:
        await connection.execute("SELECT 'no number'::int")

    ground.bind(org, repo)
    tenant, bound = await bound_to(ground, org)
    monkeypatch.setattr(actions, "carry_out", untakable)
    assert await actions.put_into_force(tenant, bound, offer_of(org), ground.edge) is None
    status = ground.status(org)
    assert (status["state"], len(status["faults"])) == ("invalid", 1)
    assert "the database does not take" in status["faults"][0]["detail"]


async def test_enabling_locks_what_others_lock_in_their_order(ground: Ground, repo: Repo, org: Org) -> None:
    ground.bind(org, repo)
    async with ground.owner.transaction():
        at = await ground.value(
            "SELECT repository_id FROM gitops.bindings WHERE org_id = $1::text::uuid FOR UPDATE", org.id
        )
        enabling = asyncio.create_task(asyncio.to_thread(ground.bind, org, repo))
        while not await ground.value(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        ):
            assert not enabling.done()
            await asyncio.sleep(0.02)
        await ground.owner.execute("UPDATE gitops.repositories SET due_at = now() WHERE id = $1", at)
    assert (await enabling)["state"] == "waiting"


_IN_HAND = {
    "the row of a member": "SELECT FROM identity.users WHERE email = $1 FOR NO KEY UPDATE",
    "a key of a member": """
        SELECT FROM identity.api_keys k JOIN identity.users u ON u.id = k.user_id WHERE u.email = $1 FOR UPDATE OF k
    """,
    "an invite": "SELECT FROM identity.invites WHERE email = $1 FOR UPDATE",
    "an invite that is too old": "SELECT FROM identity.invites WHERE email = $1 FOR UPDATE",
}
"""What somebody has who takes another name or logs in, revokes a key, or withdraws an invite."""


async def until_awaited(ground: Ground, turn: asyncio.Task[None]) -> None:
    """Somebody waits for what the ground's owner has locked."""
    waiting = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
    while not await ground.value(waiting):
        assert not turn.done()
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("held", _IN_HAND)
async def test_people_are_had_before_the_end_of_the_log_is(ground: Ground, repo: Repo, org: Org, held: str) -> None:
    """Whoever changes something of a person has it first and the log's end last: else each waits for the other."""
    org.user.key()
    invited = f"invited-{org.tag}@example.org"
    good(org.admin.client.post("/users/invite", json={"email": invited}))
    if held == "an invite that is too old":
        await ground.owner.execute("UPDATE identity.invites SET expires_at = now() WHERE email = $1", invited)
    people = {
        "the row of a member": ((org.user.email, "org-admin"), (org.other.email, "org-user"), (invited, "org-user")),
        "a key of a member": ((org.other.email, "org-user"), (invited, "org-user")),
        "an invite": ((org.user.email, "org-user"), (org.other.email, "org-user")),
    }
    wanted = users((org.admin.email, "org-admin"), *people.get(held, people["the row of a member"][1:]))
    repo.commit({file_of(org): policy(org.name, BUDGET.format(1000) + wanted)})
    ground.bind(org, repo)
    async with asyncio.TaskGroup() as tasks, ground.owner.transaction():
        await ground.owner.execute(_IN_HAND[held], invited if "invite" in held else org.user.email)
        turn = tasks.create_task(ground.reconcile(force=False))
        await until_awaited(ground, turn)
        head = "SELECT FROM identity.audit_heads WHERE chain = $1::text::uuid FOR UPDATE NOWAIT"
        await ground.owner.execute(head, org.id)
    assert (ground.status(org)["state"], budget(org, ground.root)) == ("in-force", 1000)

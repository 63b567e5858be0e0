"""Who is named in Git: expected where they have no account, removed with their keys, held where it goes too far."""

import httpx

from ias.contract import admission
from tests.integration.gitops.conftest import Ground
from tests.integration.gitops.repos import Repo, policy, users
from tests.integration.identity.conftest import PASSWORD, Api, Org, good, new_org


def file_of(org: Org) -> str:
    return f"orgs/{org.name}/org.yaml"


def emails(org: Org, who: httpx.Client) -> set[str]:
    return {each["email"] for each in good(who.get("/users", params={"org_id": org.id}))["items"]}


async def test_somebody_without_an_account_is_expected_and_joins_by_the_link_of_the_status(
    ground: Ground, repo: Repo, org: Org, api: Api
) -> None:
    email = f"new-{org.tag}@example.org"
    all_of_them = ((org.admin.email, "org-admin"), (org.user.email, "org-user"), (org.other.email, "org-user"))
    repo.commit({file_of(org): policy(org.name, users(*all_of_them, (email, "org-admin", 123)))})
    ground.bind(org, repo)
    await ground.reconcile()
    (person,) = ground.status(org)["expected"]
    assert (person["email"], person["role"]) == (email, "org-admin")
    token = person["invite_url"].partition("token=")[2]
    sent = {"token": token, "name": "New", "password": PASSWORD}
    made = good(api.anonymous().post("/users/accept-invite", json=sent))
    await ground.reconcile()
    assert ground.status(org)["expected"] == []
    assert good(ground.root.get(f"/organizations/{org.id}/users/{made['id']}/budget"))["monthly_tokens"] == 123
    assert good(ground.root.get(f"/organizations/{org.id}/gitops/drift"))["items"] == []


async def test_an_address_of_another_organisation_is_expected_like_any_other_and_nothing_is_told(
    ground: Ground, repo: Repo, org: Org, api: Api, root: httpx.Client
) -> None:
    foreign = new_org(api, root)
    all_of_them = ((org.admin.email, "org-admin"), (org.user.email, "org-user"), (org.other.email, "org-user"))
    nobody = f"nobody-{org.tag}@example.org"
    repo.commit(
        {
            file_of(org): policy(
                org.name,
                users(
                    *all_of_them,
                    (foreign.user.email, "org-user"),
                    ("root@example.org", "org-user"),
                    (nobody, "org-user"),
                ),
            )
        }
    )
    ground.bind(org, repo)
    await ground.reconcile()
    status = ground.status(org)
    assert (status["state"], status["faults"]) == ("in-force", [])
    assert {each["email"] for each in status["expected"]} == {foreign.user.email, "root@example.org", nobody}
    assert good(foreign.user.client.get("/me"))["org_id"] == foreign.id
    assert foreign.user.email in emails(foreign, root)


async def test_who_is_struck_is_turned_away_with_their_keys_and_their_history_stays(
    ground: Ground, repo: Repo, org: Org
) -> None:
    key = org.user.key()
    repo.commit({file_of(org): policy(org.name, users((org.admin.email, "org-admin"), (org.other.email, "org-user")))})
    ground.bind(org, repo)
    await ground.reconcile()
    assert ground.status(org)["state"] == "in-force"
    assert org.user.client.get("/me").status_code == 401
    assert emails(org, org.admin.client) == {org.admin.email, org.other.email}
    fingerprint = await ground.value("SELECT fingerprint FROM identity.api_keys WHERE id = $1::text::uuid", key["id"])
    state = await ground.edge.redis.hget(f"{admission.slot(org.tag)}:k:{fingerprint}", "st")
    assert state == b"revoked"
    kept = good(org.admin.client.get("/api-keys", params={"user_id": org.user.id}))["items"]
    assert [each["id"] for each in kept] == [key["id"]]


async def test_a_file_in_which_no_admin_is_left_waits_for_a_system_admin(ground: Ground, repo: Repo, org: Org) -> None:
    spec = users((org.admin.email, "org-user"), (org.user.email, "org-user"), (org.other.email, "org-user"))
    commit = repo.commit({file_of(org): policy(org.name, spec)})
    ground.bind(org, repo)
    await ground.reconcile()
    status = ground.status(org)
    assert (status["state"], status["held_for"]) == ("held", ["no admin who has an account would be left"])
    assert good(org.admin.client.get("/me"))["role"] == "org-admin"
    path = f"/organizations/{org.id}/gitops/approve"
    assert org.admin.client.post(path, json={"commit": commit}).status_code == 403
    assert ground.root.post(path, json={"commit": "0" * 40}).status_code == 409
    good(ground.root.post(path, json={"commit": commit}))
    await ground.reconcile()
    assert ground.status(org)["state"] == "in-force"
    assert good(org.admin.client.get("/me"))["role"] == "org-user"


async def test_a_file_that_removes_more_than_half_waits_and_a_better_one_does_not(
    ground: Ground, repo: Repo, org: Org
) -> None:
    repo.commit({file_of(org): policy(org.name, users((org.admin.email, "org-admin")))})
    ground.bind(org, repo)
    await ground.reconcile()
    status = ground.status(org)
    assert status["held_for"] == ["2 of 3 members would be removed, which is more than half"]
    assert emails(org, ground.root) == {org.admin.email, org.user.email, org.other.email}
    diff = good(org.admin.client.get(f"/organizations/{org.id}/gitops/diff"))
    assert len(diff["changes"]) == 2
    assert len(diff["blocked"]) == 2
    repo.commit({file_of(org): policy(org.name, users((org.admin.email, "org-admin"), (org.user.email, "org-user")))})
    await ground.reconcile()
    assert ground.status(org)["state"] == "in-force"
    assert emails(org, ground.root) == {org.admin.email, org.user.email}


async def test_a_rewritten_history_waits_for_a_system_admin(ground: Ground, repo: Repo, org: Org) -> None:
    budget = "  budgets:\n    monthly_tokens: {}\n"
    repo.commit({"README.md": "first"})
    repo.commit({file_of(org): policy(org.name, budget.format(1000))})
    ground.bind(org, repo)
    await ground.reconcile()
    repo.git("reset", "--quiet", "--hard", "HEAD~1")
    commit = repo.commit({file_of(org): policy(org.name, budget.format(2000))})
    await ground.reconcile()
    status = ground.status(org)
    assert status["state"] == "held"
    assert "history was rewritten" in status["held_for"][0]
    assert good(org.admin.client.get(f"/organizations/{org.id}/budget"))["monthly_tokens"] == 1000
    # A commit on top of it makes it no better.
    commit = repo.commit({"README.md": "second"})
    await ground.reconcile()
    assert ground.status(org)["state"] == "held"
    good(ground.root.post(f"/organizations/{org.id}/gitops/approve", json={"commit": commit}))
    await ground.reconcile()
    assert ground.status(org)["state"] == "in-force"
    assert good(org.admin.client.get(f"/organizations/{org.id}/budget"))["monthly_tokens"] == 2000


async def test_a_member_may_be_made_admin_in_the_commit_that_removes_the_last_one(
    ground: Ground, repo: Repo, org: Org
) -> None:
    repo.commit({file_of(org): policy(org.name, users((org.user.email, "org-admin"), (org.other.email, "org-user")))})
    ground.bind(org, repo)
    await ground.reconcile()
    assert ground.status(org)["state"] == "in-force"
    assert good(org.user.client.get("/me"))["role"] == "org-admin"

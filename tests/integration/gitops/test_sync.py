"""What Git says is put into force, kept up, and held where it should be: on real repositories."""

import httpx

from tests.integration.gitops.conftest import Ground
from tests.integration.gitops.repos import Repo, policy, users
from tests.integration.identity.conftest import Api, Org, good, new_org


def budget(tokens: int | None) -> str:
    return f"  budgets:\n    monthly_tokens: {'null' if tokens is None else tokens}\n"


def file_of(org: Org) -> str:
    return f"orgs/{org.name}/org.yaml"


def of(org: Org, path: str, who: httpx.Client) -> dict[str, object]:
    return good(who.get(f"/organizations/{org.id}/{path}"))


async def test_a_commit_is_in_force_after_one_look(ground: Ground, repo: Repo, org: Org) -> None:
    commit = repo.commit({file_of(org): policy(org.name, budget(3_000_000), "  description: Builds.\n")})
    ground.bind(org, repo)
    await ground.reconcile()
    status = ground.status(org)
    assert (status["state"], status["applied_commit"]) == ("in-force", commit), status
    assert status["applied_by"] == "Ada <ada@example.org>"
    assert of(org, "budget", org.admin.client)["monthly_tokens"] == 3_000_000
    shown = of(org, "", org.admin.client)
    assert shown["description"] == "Builds."
    assert shown["managed_by"]["lines"] == {"metadata": 3, "budgets": 7}
    entries = good(org.admin.client.get("/audit-logs", params={"source": "git"}))["items"]
    assert {entry["action"] for entry in entries} == {"budget.changed", "organisation.described"}
    assert entries[0]["actor"] == f"git {commit[:12]}: Ada <ada@example.org>"
    assert entries[0]["request_id"] == commit


async def test_everything_that_a_policy_can_say_is_in_force_here_and_at_the_gateways(
    ground: Ground, repo: Repo, org: Org
) -> None:
    model = f"llama-{org.tag}"
    good(ground.root.post("/models", json={"name": model, "backends": [{"url": "http://127.0.0.1:8000"}]}))
    spec = (
        budget(4_000_000)
        + "    user_monthly_tokens: 1000\n"
        + users((org.admin.email, "org-admin", 77), (org.user.email, "org-admin"), (org.other.email, "org-user", None))
        + f"  rate_limits:\n    requests_per_second: 5\n    burst: 6\n  allowed_models: [{model}]\n"
        + "  alert_thresholds:\n    - percent: 90\n    - percent: 50\n"
    )
    metadata = '  description: D\n  cost_center: "4711"\n  tags:\n    tier: gold\n'
    repo.commit({file_of(org): policy(org.name, spec, metadata)})
    ground.bind(org, repo)
    await ground.reconcile()
    assert ground.status(org)["faults"] == []
    standing = of(org, "budget", org.admin.client)
    assert (standing["monthly_tokens"], standing["user_monthly_tokens"]) == (4_000_000, 1000)
    assert standing["users"] == {org.admin.id: 77, org.other.id: None}
    limits = of(org, "limits", org.admin.client)
    assert (limits["requests_per_second"], limits["burst"], limits["concurrency"]) == (5, 6, 2000)
    assert of(org, "allowed-models", org.admin.client)["models"] == [model]
    assert of(org, "alert-thresholds", org.admin.client)["thresholds"] == [50, 90]
    assert good(ground.root.get(f"/users/{org.user.id}"))["role"] == "org-admin"
    shown = of(org, "", org.admin.client)
    assert (shown["description"], shown["cost_center"], shown["tags"]) == ("D", "4711", {"tier": "gold"})
    told = await ground.told(org, "pol")
    assert (told["tokens"], told["rps"], told[f"u:{org.admin.id}"]) == ("4000000", "5", "77")
    assert [name for name in await ground.told(org, "routes") if name == model]


async def test_what_a_policy_does_not_name_stays_with_the_api(ground: Ground, repo: Repo, org: Org) -> None:
    repo.commit({file_of(org): policy(org.name, budget(1000))})
    ground.bind(org, repo)
    good(org.admin.client.put(f"/organizations/{org.id}/alert-thresholds", json={"thresholds": [33]}))
    await ground.reconcile()
    await ground.reconcile()
    assert of(org, "alert-thresholds", org.admin.client)["thresholds"] == [33]
    assert len(good(org.admin.client.get("/users"))["items"]) == 3


async def test_a_bad_commit_keeps_the_last_good_state_and_says_where_it_is_wrong(
    ground: Ground, repo: Repo, org: Org
) -> None:
    first = repo.commit({file_of(org): policy(org.name, budget(1000))})
    ground.bind(org, repo)
    await ground.reconcile()
    bad = repo.commit({file_of(org): policy(org.name, "  budgets:\n    monthly_token: 2000\n")})
    await ground.reconcile()
    status = ground.status(org)
    assert (status["state"], status["commit"], status["applied_commit"]) == ("invalid", bad, first)
    assert [(fault["line"], fault["column"]) for fault in status["faults"]] == [(7, 5)]
    assert "did you mean monthly_tokens?" in status["faults"][0]["detail"]
    assert of(org, "budget", org.admin.client)["monthly_tokens"] == 1000
    repo.git("revert", "--no-edit", "HEAD")
    await ground.reconcile()
    status = ground.status(org)
    assert (status["state"], status["applied_commit"], status["faults"]) == ("in-force", repo.head, [])


async def test_a_revert_rolls_back(ground: Ground, repo: Repo, org: Org) -> None:
    repo.commit({file_of(org): policy(org.name, budget(1000))})
    ground.bind(org, repo)
    await ground.reconcile()
    repo.commit({file_of(org): policy(org.name, budget(2000))})
    await ground.reconcile()
    assert of(org, "budget", org.admin.client)["monthly_tokens"] == 2000
    repo.git("revert", "--no-edit", "HEAD")
    await ground.reconcile()
    assert of(org, "budget", org.admin.client)["monthly_tokens"] == 1000
    runs = good(org.admin.client.get(f"/organizations/{org.id}/gitops/runs"))["items"]
    assert [run["changes"][0]["after"] for run in runs] == [1000, 2000, 1000]
    assert runs[0]["commit"] == repo.head


async def test_a_file_that_is_gone_keeps_the_last_good_state(ground: Ground, repo: Repo, org: Org) -> None:
    repo.commit({file_of(org): policy(org.name, budget(1000)), "README.md": "x"})
    ground.bind(org, repo)
    await ground.reconcile()
    repo.commit({file_of(org): None})
    await ground.reconcile()
    status = ground.status(org)
    assert (status["state"], status["faults"][0]["detail"]) == ("missing", f"{file_of(org)} is not in this commit")
    assert of(org, "budget", org.admin.client)["monthly_tokens"] == 1000


async def test_a_repository_that_cannot_be_had_keeps_up_the_last_good_state(
    ground: Ground, repo: Repo, org: Org
) -> None:
    repo.commit({file_of(org): policy(org.name, budget(1000))})
    ground.bind(org, repo)
    await ground.reconcile()
    repo.folder.rename(repo.folder.with_suffix(".away"))
    good(org.admin.client.patch(f"/organizations/{org.id}/budget", json={"monthly_tokens": 5}))
    await ground.reconcile()
    status = ground.status(org)
    assert status["error"]
    assert status["state"] == "in-force"
    assert of(org, "budget", org.admin.client)["monthly_tokens"] == 1000


async def test_two_organisations_of_one_repository_each_take_their_own_file(
    ground: Ground, repo: Repo, org: Org, api: Api, root: httpx.Client
) -> None:
    other = new_org(api, root)
    repo.commit({file_of(org): policy(org.name, budget(10)), file_of(other): policy(other.name, budget(20))})
    for each in (org, other):
        ground.bind(each, repo)
    await ground.reconcile()
    assert of(org, "budget", root)["monthly_tokens"] == 10
    assert of(other, "budget", root)["monthly_tokens"] == 20


async def test_disabling_leaves_everything_as_it_is_and_to_the_api(ground: Ground, repo: Repo, org: Org) -> None:
    repo.commit({file_of(org): policy(org.name, budget(1000))})
    ground.bind(org, repo)
    await ground.reconcile()
    good(ground.root.post(f"/organizations/{org.id}/gitops/disable"))
    assert of(org, "", org.admin.client)["managed_by"] is None
    good(org.admin.client.patch(f"/organizations/{org.id}/budget", json={"monthly_tokens": 5}))
    await ground.reconcile()
    assert of(org, "budget", org.admin.client)["monthly_tokens"] == 5
    assert ground.root.get(f"/organizations/{org.id}/gitops/status").status_code == 404


async def test_answers_say_which_file_manages_them(ground: Ground, repo: Repo, org: Org) -> None:
    parts, own = ("", "budget", "limits", "allowed-models", "alert-thresholds"), f"users/{org.user.id}/budget"
    before = [good(org.admin.client.get(f"/organizations/{org.id}/{part}".rstrip("/"))) for part in (*parts, own)]
    assert [each["managed_by"] for each in before] == [None] * 6
    tag = org.admin.client.get(f"/organizations/{org.id}/limits").headers["etag"]
    people = users((org.admin.email, "org-admin"), (org.user.email, "org-user"), (org.other.email, "org-user"))
    repo.commit({file_of(org): policy(org.name, budget(1000) + people)})
    ground.bind(org, repo)
    await ground.reconcile()
    said = {"repository": str(repo.folder), "branch": "main", "path": file_of(org)}
    said |= {"suspended_until": None, "suspended_reason": ""}
    for path in (*parts, own):
        lines = {"metadata": 3, "budgets": 6, "users": 8}
        assert of(org, path, org.user.client)["managed_by"] == {**said, "lines": lines}, path
    listed = good(org.admin.client.get("/users"))["items"]
    everybody = [*listed, good(org.admin.client.get(f"/users/{org.user.id}"))]
    everybody.append(good(org.admin.client.patch(f"/users/{org.user.id}", json={"name": "Ada"})))
    everybody.append(good(org.admin.client.post("/users/invite", json={"email": f"x@{org.tag}.example.org"})))
    assert [each["managed_by"] for each in everybody] == [{**said, "lines": {"users": 8}}] * 6
    # Who manages it is told beside the limits: they are the same as before, and so is their ETag.
    put = org.admin.client.put(
        f"/organizations/{org.id}/limits", json={"user_concurrency": 7}, headers={"if-match": tag}
    )
    assert good(put)["managed_by"] == {**said, "lines": {"metadata": 3, "budgets": 6, "users": 8}}
    for part, body in (("allowed-models", {"models": None}), ("alert-thresholds", {"thresholds": [90]})):
        assert good(org.admin.client.put(f"/organizations/{org.id}/{part}", json=body))["managed_by"] is not None

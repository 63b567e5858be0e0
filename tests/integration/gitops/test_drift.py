"""What is changed beside Git is put back, once noted with who and when; and left while Git is suspended."""

from datetime import UTC, datetime, timedelta

import httpx

from tests.integration.gitops.conftest import Ground
from tests.integration.gitops.repos import Repo, policy, users
from tests.integration.identity.conftest import Org, good

SPEC = "  budgets:\n    monthly_tokens: 1000\n  rate_limits:\n    requests_per_second: 10\n"


async def managed(ground: Ground, repo: Repo, org: Org, spec: str = SPEC) -> None:
    repo.commit({f"orgs/{org.name}/org.yaml": policy(org.name, spec)})
    ground.bind(org, repo)
    await ground.reconcile()
    assert ground.status(org)["state"] == "in-force"


def drift(org: Org, who: httpx.Client) -> list[dict[str, object]]:
    return good(who.get(f"/organizations/{org.id}/gitops/drift"))["items"]


async def test_an_edit_of_a_managed_field_is_put_back_and_noted_once(ground: Ground, repo: Repo, org: Org) -> None:
    await managed(ground, repo, org)
    before = datetime.now(UTC)
    good(org.admin.client.patch(f"/organizations/{org.id}/budget", json={"monthly_tokens": 7}))
    for _ in range(3):
        await ground.reconcile()
    assert good(org.admin.client.get(f"/organizations/{org.id}/budget"))["monthly_tokens"] == 1000
    assert (await ground.told(org, "pol"))["tokens"] == "1000"
    (found,) = drift(org, org.admin.client)
    assert (found["field"], found["found"], found["wanted"]) == ("spec.budgets.monthly_tokens", 7, 1000)
    assert (found["changed_by"], found["source"]) == (org.admin.email, "api")
    assert before - timedelta(seconds=5) <= datetime.fromisoformat(str(found["changed_at"])) <= datetime.now(UTC)


async def test_each_field_of_an_edit_is_noted_with_whoever_changed_it(ground: Ground, repo: Repo, org: Org) -> None:
    await managed(
        ground,
        repo,
        org,
        SPEC + users((org.admin.email, "org-admin"), (org.user.email, "org-user", 50), (org.other.email, "org-user")),
    )
    limits = good(org.admin.client.get(f"/organizations/{org.id}/limits"))
    good(org.admin.client.put(f"/organizations/{org.id}/limits", json={**limits, "requests_per_second": 3}))
    good(ground.root.put(f"/organizations/{org.id}/users/{org.user.id}/budget", json={"monthly_tokens": 60}))
    good(ground.root.patch(f"/users/{org.other.id}", json={"role": "org-admin"}))
    await ground.reconcile()
    found = {each["field"]: (each["found"], each["wanted"], each["changed_by"]) for each in drift(org, ground.root)}
    assert found == {
        "spec.rate_limits.requests_per_second": (3, 10, org.admin.email),
        f"spec.users[{org.user.email}].monthly_token_limit": (60, 50, "root@example.org"),
        f"spec.users[{org.other.email}].role": ("org-admin", "org-user", "root@example.org"),
    }


async def test_a_member_who_was_removed_beside_git_is_expected_again_and_one_who_was_added_goes(
    ground: Ground, repo: Repo, org: Org
) -> None:
    await managed(
        ground,
        repo,
        org,
        users((org.admin.email, "org-admin"), (org.user.email, "org-user"), (org.other.email, "org-user")),
    )
    good(org.admin.client.delete(f"/users/{org.user.id}"))
    good(org.admin.client.post("/users/invite", json={"email": f"new-{org.tag}@example.org"}))
    await ground.reconcile()
    found = {each["field"]: each["changed_by"] for each in drift(org, org.admin.client)}
    assert found == {
        f"spec.users[{org.user.email}]": org.admin.email,
        f"spec.users[new-{org.tag}@example.org]": org.admin.email,
    }
    invites = good(org.admin.client.get("/users/invites"))["items"]
    assert [invite["email"] for invite in invites] == [org.user.email]


async def test_a_suspension_lets_an_emergency_be_mended_and_ends_by_itself(
    ground: Ground, repo: Repo, org: Org
) -> None:
    await managed(ground, repo, org)
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    told = good(
        ground.root.post(f"/organizations/{org.id}/gitops/suspend", json={"reason": "incident 7", "until": until})
    )
    assert (told["suspended"]["reason"], told["suspended"]["by"]) == ("incident 7", "root@example.org")
    good(org.admin.client.patch(f"/organizations/{org.id}/budget", json={"monthly_tokens": 7}))
    await ground.reconcile()
    shown = good(org.user.client.get(f"/organizations/{org.id}/budget"))
    assert (shown["monthly_tokens"], shown["managed_by"]["suspended_reason"]) == (7, "incident 7")
    await ground.value(
        "UPDATE gitops.bindings SET suspended_until = now() - interval '1 second' WHERE org_id = $1::text::uuid", org.id
    )
    await ground.reconcile()
    assert ground.status(org)["suspended"] is None
    assert good(org.admin.client.get(f"/organizations/{org.id}/budget"))["monthly_tokens"] == 1000


async def test_resuming_goes_by_git_at_once(ground: Ground, repo: Repo, org: Org) -> None:
    await managed(ground, repo, org)
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    path = f"/organizations/{org.id}/gitops"
    good(ground.root.post(f"{path}/suspend", json={"reason": "x", "until": until}))
    good(org.admin.client.patch(f"/organizations/{org.id}/budget", json={"monthly_tokens": 7}))
    assert good(ground.root.post(f"{path}/resume"))["suspended"] is None
    assert good(org.user.client.get(f"/organizations/{org.id}"))["managed_by"]["suspended_until"] is None
    await ground.reconcile()
    assert good(org.admin.client.get(f"/organizations/{org.id}/budget"))["monthly_tokens"] == 1000


async def test_an_edit_that_a_new_commit_writes_over_is_noted_all_the_same(
    ground: Ground, repo: Repo, org: Org
) -> None:
    thresholds = "  alert_thresholds:\n    - percent: 50\n"
    await managed(ground, repo, org, SPEC + thresholds)
    in_force = ground.status(org)["applied_commit"]
    path, limits = f"/organizations/{org.id}", {"requests_per_second": 3, "burst": 2000}
    until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    good(ground.root.post(f"{path}/gitops/suspend", json={"reason": "x", "until": until}))
    good(org.admin.client.put(f"{path}/alert-thresholds", json={"thresholds": [99]}))
    good(ground.root.put(f"{path}/limits", json=limits))
    good(org.admin.client.patch(f"{path}/budget", json={"monthly_tokens": 7}))
    # The commit changes one of the three itself, takes one over, and says of the third what was said before.
    spec = SPEC.replace("1000", "999").replace("second: 10", "second: 3") + thresholds
    repo.commit({f"orgs/{org.name}/org.yaml": policy(org.name, spec)})
    good(ground.root.post(f"{path}/gitops/resume"))
    for _ in range(2):
        await ground.reconcile()
    assert good(org.admin.client.get(f"{path}/alert-thresholds"))["thresholds"] == [50]
    found = {
        each["field"]: (each["found"], each["wanted"], each["changed_by"], each["commit"])
        for each in drift(org, ground.root)
    }
    assert found == {
        "spec.alert_thresholds": ([99], [50], org.admin.email, in_force),
        "spec.budgets.monthly_tokens": (7, 1000, org.admin.email, in_force),
    }


def test_git_is_not_left_aside_for_ever_nor_without_a_reason(ground: Ground, repo: Repo, org: Org) -> None:
    ground.bind(org, repo)
    moments = {"past": timedelta(hours=-1), "ever": timedelta(days=31)}
    asked = [{"reason": "x", "until": (datetime.now(UTC) + span).isoformat()} for span in moments.values()]
    asked += [
        {"reason": "  ", "until": (datetime.now(UTC) + timedelta(hours=1)).isoformat()},
        {"reason": "x", "until": "2026-01-01T00:00:00"},
        {"reason": "x"},
    ]
    path = f"/organizations/{org.id}/gitops/suspend"
    assert [ground.root.post(path, json=each).status_code for each in asked] == [400] * 5
    assert org.admin.client.post(path, json=asked[0]).status_code == 403


async def test_an_organisation_that_was_removed_is_not_bound_nor_is_anything_said_of_its_binding(
    ground: Ground, repo: Repo, org: Org
) -> None:
    await managed(ground, repo, org)
    path, until = f"/organizations/{org.id}", (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    good(ground.root.delete(path))
    asked = {
        "suspend": {"reason": "x", "until": until},
        "resume": None,
        "sync": None,
        "approve": {"commit": "0" * 40},
        "enable": {"repository": str(repo.folder)},
        "disable": None,
    }
    for verb, body in asked.items():
        assert ground.root.post(f"{path}/gitops/{verb}", json=body).status_code == 404, verb
    assert ground.status(org)["state"] == "in-force"
    await ground.reconcile()
    assert ground.root.post(f"{path}/gitops/enable", json=asked["enable"]).status_code == 404
    bound = await ground.value("SELECT count(*) FROM gitops.bindings WHERE org_id = $1::text::uuid", org.id)
    assert bound == 0


async def test_what_the_platform_takes_back_is_not_taken_from_it_again(ground: Ground, repo: Repo, org: Org) -> None:
    await managed(ground, repo, org)
    good(ground.root.patch(f"/organizations/{org.id}/budget", json={"monthly_tokens": 400}))
    await ground.reconcile()
    status = ground.status(org)
    assert (status["state"], [fault["path"] for fault in status["faults"]]) == (
        "invalid",
        ["spec.budgets.monthly_tokens"],
    )
    assert good(org.admin.client.get(f"/organizations/{org.id}/budget"))["monthly_tokens"] == 400
    good(ground.root.patch(f"/organizations/{org.id}/budget", json={"monthly_tokens": 4000}))
    await ground.reconcile()
    await ground.reconcile()
    assert good(org.admin.client.get(f"/organizations/{org.id}/budget"))["monthly_tokens"] == 1000
    assert ground.status(org)["state"] == "in-force"

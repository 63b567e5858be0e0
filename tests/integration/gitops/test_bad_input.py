"""Hostile repositories: what is in them, how large they are, where they are said to be."""

import asyncio
import os
import time
from pathlib import Path

import httpx
import pytest

from ias.settings import settings
from tests.integration.gitops.conftest import Ground
from tests.integration.gitops.repos import Repo, policy, users
from tests.integration.identity.conftest import Api, Org, good, new_org

BUDGET = "  budgets:\n    monthly_tokens: 1000\n"


def file_of(org: Org) -> str:
    return f"orgs/{org.name}/org.yaml"


def tokens(org: Org, who: httpx.Client) -> int:
    return good(who.get(f"/organizations/{org.id}/budget"))["monthly_tokens"]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{after}: &{after} [{','.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
BAD = {
    "a bomb of aliases": (BOMB, "aliases are not taken"),
    "a python object": ("!!python/object/apply:os.system ['touch /tmp/x']", "tags are not taken"),
    "nesting": ("a: " + "[" * 100_000, "is nested deeper than 16"),
    "many items": ("a:\n" + "- x\n" * 3000, "has more than 2,000 items"),
    "too large": ("a: " + "x" * 300_000, "262,144 are taken"),
    "two documents": ("a: b\n---\nc: d\n", "a second document"),
    "binary": (b"\x00\x01\x02", "is not YAML"),
    "not UTF-8": (b"a: \xff\xfe", "is not UTF-8"),
    "nothing": ("", "is empty"),
    "a merge key": ("<<: &a {b: 1}\n", "anchors are not taken"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_hostile_file_is_told_of_and_changes_nothing(ground: Ground, repo: Repo, org: Org, name: str) -> None:
    content, said = BAD[name]
    first = repo.commit({file_of(org): policy(org.name, BUDGET)})
    ground.bind(org, repo)
    await ground.reconcile()
    repo.commit({file_of(org): content})
    began = time.monotonic()
    await ground.reconcile()
    status = ground.status(org)
    assert (status["state"], status["applied_commit"]) == ("invalid", first)
    assert any(said in fault["detail"] for fault in status["faults"]), status["faults"]
    assert time.monotonic() - began < 60


async def test_what_yaml_1_1_took_for_a_boolean_is_a_word(ground: Ground, repo: Repo, org: Org) -> None:
    repo.commit({file_of(org): policy(org.name, BUDGET, "  description: no\n")})
    ground.bind(org, repo)
    await ground.reconcile()
    assert good(org.admin.client.get(f"/organizations/{org.id}"))["description"] == "no"


async def test_a_symbolic_link_is_not_followed(ground: Ground, repo: Repo, org: Org) -> None:
    folder = repo.folder / "orgs" / org.name
    folder.mkdir(parents=True)
    (folder / "org.yaml").symlink_to("/etc/passwd")
    repo.commit({})
    ground.bind(org, repo)
    await ground.reconcile()
    (fault,) = ground.status(org)["faults"]
    assert "no symbolic link" in fault["detail"]


async def test_an_executable_file_and_a_folder_in_its_place_are_no_policy(ground: Ground, repo: Repo, org: Org) -> None:
    repo.commit({file_of(org): policy(org.name, BUDGET)})
    repo.git("update-index", "--chmod=+x", file_of(org))
    repo.git("commit", "--quiet", "--message", "executable")
    ground.bind(org, repo)
    await ground.reconcile()
    assert "not executable" in ground.status(org)["faults"][0]["detail"]
    repo.commit({file_of(org): None})
    repo.commit({f"{file_of(org)}/org.yaml": policy(org.name, BUDGET)})
    await ground.reconcile()
    assert ground.status(org)["state"] == "missing"


async def test_folders_that_are_twins_in_case_are_both_refused(ground: Ground, repo: Repo, org: Org) -> None:
    twin = f"orgs/{org.name.upper()}/org.yaml"
    repo.commit({file_of(org): policy(org.name, BUDGET), twin: policy(org.name.upper(), BUDGET)})
    ground.bind(org, repo)
    await ground.reconcile()
    (fault,) = ground.status(org)["faults"]
    assert "differ in case or spelling alone" in fault["detail"]


async def test_a_file_applies_to_the_organisation_of_its_folder_alone(
    ground: Ground, repo: Repo, org: Org, api: Api, root: httpx.Client
) -> None:
    victim = new_org(api, root)
    before = tokens(victim, root)
    repo.commit({file_of(org): policy(victim.name, BUDGET), file_of(victim): policy(victim.name, BUDGET)})
    ground.bind(org, repo)
    await ground.reconcile()
    (fault,) = ground.status(org)["faults"]
    assert (fault["path"], fault["line"]) == ("metadata.name", 4)
    assert tokens(victim, root) == before


async def test_a_file_cannot_go_above_the_platforms_ceiling(ground: Ground, repo: Repo, org: Org) -> None:
    spec = "  budgets:\n    monthly_tokens: 5000001\n  rate_limits:\n    requests_per_second: 1001\n"
    repo.commit({file_of(org): policy(org.name, spec)})
    ground.bind(org, repo)
    await ground.reconcile()
    faults = ground.status(org)["faults"]
    assert [(fault["line"], fault["path"]) for fault in faults] == [
        (6, "spec.budgets.monthly_tokens"),
        (8, "spec.rate_limits"),
    ]
    assert "ceiling of 5000000" in faults[0]["detail"]
    assert good(org.admin.client.get(f"/organizations/{org.id}/budget"))["monthly_tokens"] == 5_000_000


async def test_a_file_cannot_make_a_system_admin(ground: Ground, repo: Repo, org: Org) -> None:
    repo.commit({file_of(org): policy(org.name, users((org.admin.email, "system-admin")))})
    ground.bind(org, repo)
    await ground.reconcile()
    assert "must be org-admin or org-user" in ground.status(org)["faults"][0]["detail"]
    assert good(org.admin.client.get("/me"))["role"] == "org-admin"


async def test_a_file_cannot_name_a_model_that_is_not_there(ground: Ground, repo: Repo, org: Org) -> None:
    repo.commit({file_of(org): policy(org.name, "  allowed_models: [nothing-like-it]\n")})
    ground.bind(org, repo)
    await ground.reconcile()
    assert "is no model that may be called here" in ground.status(org)["faults"][0]["detail"]


async def test_a_repository_that_is_too_large_is_stopped(ground: Ground, repo: Repo, org: Org) -> None:
    repo.commit({file_of(org): policy(org.name, BUDGET)})
    ground.bind(org, repo)
    await ground.reconcile()
    repo.commit({"large.bin": os.urandom(20 << 20)})
    await ground.reconcile()
    status = ground.status(org)
    assert "larger than 8 MiB" in status["error"], status
    assert status["state"] == "in-force"
    mirrors = list((ground.repositories.parent / "mirrors").rglob("*"))
    assert sum(file.stat().st_size for file in mirrors if file.is_file()) < (64 << 20)


async def test_a_host_that_never_answers_is_given_up(ground: Ground, org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("IAS_GITOPS_FETCH_S", "2")
    settings.cache_clear()
    try:
        ground.bind(org, f"https://127.0.0.1:{port}/x.git")
        await asyncio.wait_for(ground.reconcile(), 60)
    finally:
        server.close()
        monkeypatch.undo()
        settings.cache_clear()
    assert "took more than 2 s" in ground.status(org)["error"]


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c 'touch /tmp/x'",
        "ext::sh",
        "file:///etc",
        "/etc",
        "../x",
        "fd::3",
        "git://example.org/x.git",
        "http://example.org/x.git",
        "https://token@example.org/x.git",
        "https://u:p@example.org/x.git",
        "https://169.254.169.254/x.git",
        "https://[::ffff:169.254.169.254]/x.git",
        "https://example.org/x.git?a=b",
        "https://example.org/../x.git",
        "-upload-pack=x",
        "--upload-pack=touch /tmp/x",
        "ssh://-oProxyCommand=x/y",
        "ssh://example.org/x y",
        "https:///x.git",
        "https://0x7f000001/x",
        "",
        "x" * 2000,
        "https://example.org/x\n.git",
    ],
)
def test_a_repository_that_is_none_is_refused(ground: Ground, org: Org, url: str) -> None:
    answer = ground.root.post(f"/organizations/{org.id}/gitops/enable", json={"repository": url})
    assert answer.status_code == 400, answer.text


@pytest.mark.parametrize("branch", ["-x", "a..b", "/a", "a/", "a.lock", "a b", "a~1", "a:b", "", "x" * 201, "@{u}"])
def test_a_branch_that_is_none_is_refused(ground: Ground, org: Org, repo: Repo, branch: str) -> None:
    body = {"repository": str(repo.folder), "branch": branch}
    assert ground.root.post(f"/organizations/{org.id}/gitops/enable", json=body).status_code == 400


def test_a_link_out_of_the_folders_that_are_allowed_is_seen_through(ground: Ground, org: Org, tmp_path: Path) -> None:
    link = ground.repositories / f"link-{org.tag}"
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path)
    answer = ground.root.post(f"/organizations/{org.id}/gitops/enable", json={"repository": str(link)})
    assert answer.status_code == 400


async def test_hooks_and_configuration_of_a_repository_are_not_run(ground: Ground, repo: Repo, org: Org) -> None:
    trap = repo.folder.parent / f"trap-{org.tag}"
    script = f"#!/bin/sh\ntouch '{trap}'\n"
    for hook in ("post-checkout", "post-update", "pre-receive", "reference-transaction", "post-merge"):
        file = repo.folder / ".git" / "hooks" / hook
        file.parent.mkdir(exist_ok=True)
        file.write_text(script)
        file.chmod(0o755)
    repo.git("config", "uploadpack.packObjectsHook", f"touch {trap};")
    repo.git("config", "core.fsmonitor", f"touch {trap}")
    repo.commit(
        {file_of(org): policy(org.name, BUDGET), ".gitattributes": "* filter=x\n", ".gitmodules": "[submodule]\n"}
    )
    trap.unlink(missing_ok=True)
    ground.bind(org, repo)
    await ground.reconcile()
    assert ground.status(org)["state"] == "in-force"
    assert not trap.exists()


def test_an_organisation_whose_name_no_folder_can_have_is_not_bound(ground: Ground, repo: Repo, org: Org) -> None:
    good(ground.root.patch(f"/organizations/{org.id}", json={"name": f"../{org.tag}"}))
    answer = ground.root.post(f"/organizations/{org.id}/gitops/enable", json={"repository": str(repo.folder)})
    assert answer.status_code == 400
    assert "rename the organisation" in answer.json()["detail"]


async def test_a_file_that_grows_when_it_is_unpacked_is_not_read(ground: Ground, repo: Repo, org: Org) -> None:
    repo.commit({file_of(org): b"\0" * (16 << 20)})
    ground.bind(org, repo)
    await ground.reconcile()
    status = ground.status(org)
    assert [fault["detail"] for fault in status["faults"]] == ["has 16,777,216 bytes; 262,144 are taken"], status

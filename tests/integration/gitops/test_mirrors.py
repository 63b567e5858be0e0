"""Mirrors heal: what a killed git left, what is lost, what cannot be told of a history, and what is forgotten."""

import contextlib
import os
import shutil
from pathlib import Path

import httpx
import pytest

from ias.db import uuid7
from ias.gitops.repositories import mirror as mirrors
from ias.gitops.repositories.domain import Address, Transport
from ias.gitops.repositories.mirror import Credential, GitFailed, Mirror
from tests.integration.gitops.conftest import Ground
from tests.integration.gitops.repos import Repo, policy
from tests.integration.identity.conftest import Api, Org, good, new_org

BUDGET = "  budgets:\n    monthly_tokens: {}\n"


def mirror_of(repo: Repo, root: Path) -> Mirror:
    at = Address(Transport.LOCAL, str(repo.folder))
    return Mirror(id=uuid7(), address=at, branch="main", credential=Credential(), root=root)


async def test_what_a_killed_git_left_stops_no_later_one(repo: Repo, tmp_path: Path) -> None:
    mirror = mirror_of(repo, tmp_path)
    repo.commit({"a": "1"})
    await mirror.fetch()
    folder = mirror.git.folder
    left = [folder / name for name in ("shallow.lock", "refs/ias/head.lock", "config.lock", "objects/pack/tmp_pack_x")]
    for file in left:
        file.touch()
    commit = repo.commit({"a": "2"})
    assert (await mirror.fetch()).sha == commit
    assert not any(file.exists() for file in left)


async def test_a_mirror_that_was_half_made_is_made_anew(repo: Repo, tmp_path: Path) -> None:
    mirror = mirror_of(repo, tmp_path)
    commit = repo.commit({"a": "1"})
    mirror.git.folder.mkdir(parents=True)
    (mirror.git.folder / "HEAD").write_text("ref: refs/heads/main\n")
    with contextlib.suppress(GitFailed):
        await mirror.fetch()
    assert (await mirror.fetch()).sha == commit


async def test_a_mirror_that_lost_its_objects_is_made_anew(repo: Repo, tmp_path: Path) -> None:
    mirror = mirror_of(repo, tmp_path)
    commit = repo.commit({"orgs/a/org.yaml": "1"})
    await mirror.fetch()
    (entry,) = (await mirror.policies(commit)).values()
    shutil.rmtree(mirror.git.folder / "objects" / "pack")
    with pytest.raises(GitFailed):
        await mirror.contents([entry.blob])
    assert (await mirror.fetch()).sha == commit
    assert await mirror.contents([entry.blob]) == {entry.blob: b"1"}


async def test_a_repository_of_very_many_files_is_not_listed(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = mirror_of(repo, tmp_path)
    commit = repo.commit({f"orgs/{number}/org.yaml": "x" for number in range(3)})
    await mirror.fetch()
    assert len(await mirror.policies(commit)) == 3
    monkeypatch.setattr(mirrors, "MOST_FILES", 2)
    with pytest.raises(GitFailed, match="more than 2 files"):
        await mirror.policies(commit)


async def test_a_history_that_cannot_be_had_holds_what_is_new_and_stops_nothing_else(
    ground: Ground, repo: Repo, org: Org, api: Api, root: httpx.Client
) -> None:
    other = new_org(api, root)
    path, others = f"orgs/{org.name}/org.yaml", f"orgs/{other.name}/org.yaml"
    repo.commit({"large.bin": os.urandom(20 << 20)})
    spec = BUDGET.format(1000)
    repo.commit({"large.bin": None, path: policy(org.name, spec), others: policy(other.name, spec)})
    for each in (org, other):
        ground.bind(each, repo)
    await ground.reconcile()
    assert [ground.status(each)["state"] for each in (org, other)] == ["in-force"] * 2
    at = await ground.value("SELECT id FROM gitops.repositories")
    shutil.rmtree(ground.repositories.parent / "mirrors" / str(at))
    commit = repo.commit({path: policy(org.name, BUDGET.format(2000))})
    good(ground.root.patch(f"/organizations/{other.id}/budget", json={"monthly_tokens": 7777}))
    await ground.reconcile()
    status = ground.status(org)
    assert (status["state"], status["commit"]) == ("held", commit), status
    assert "history cannot be checked" in status["held_for"][0]
    assert "history cannot be checked" in status["error"]
    assert good(ground.root.get(f"/organizations/{other.id}/budget"))["monthly_tokens"] == 1000
    good(ground.root.post(f"/organizations/{org.id}/gitops/approve", json={"commit": commit}))
    await ground.reconcile()
    assert (ground.status(org)["state"], ground.status(org)["applied_commit"]) == ("in-force", commit)


async def test_mirrors_of_repositories_that_are_forgotten_are_removed(ground: Ground, repo: Repo, org: Org) -> None:
    root = ground.repositories.parent / "mirrors"
    left, not_ours = root / str(uuid7()), root / "an-other-folder-of-theirs"
    for folder in (left, not_ours):
        folder.mkdir(parents=True)
    repo.commit({f"orgs/{org.name}/org.yaml": policy(org.name)})
    ground.bind(org, repo)
    await ground.reconcile()
    await ground.reconcile()
    assert not left.exists()
    assert not_ours.exists()
    assert (root / str(await ground.value("SELECT id FROM gitops.repositories"))).exists()

"""Mirrors heal: what a killed git left, what is lost, what cannot be told of a history, and what is forgotten."""

import contextlib
import os
import shutil
import time
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from ias.db import uuid7
from ias.gitops.repositories import git as gits
from ias.gitops.repositories import mirror as mirrors
from ias.gitops.repositories.credentials import Credential
from ias.gitops.repositories.domain import Address, Transport
from ias.gitops.repositories.git import Limits
from ias.gitops.repositories.mirror import GitFailed, Mirror
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


async def test_a_git_that_has_become_too_old_fetches_into_no_mirror_that_is_there(
    repo: Repo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = mirror_of(repo, tmp_path)
    commit = repo.commit({"a": "1"})
    assert (await mirror.fetch()).sha == commit
    monkeypatch.setattr(gits, "LEAST", (99, 0))
    with pytest.raises(GitFailed, match=r"git 99\.0 or newer is needed"):
        await mirror.fetch()


async def test_keys_that_a_killed_worker_left_are_swept_and_those_in_use_are_not(tmp_path: Path) -> None:
    left, used = tmp_path / "ias-ssh-left", tmp_path / "ias-ssh-used"
    for folder in (left, used):
        folder.mkdir(mode=0o700)
        (folder / "key").write_text("a key")
    before = time.time() - mirrors.LEFT_S - 60
    os.utime(left, (before, before))

    async def known() -> list[UUID]:
        return []

    await mirrors.sweep(tmp_path, known)
    assert (left.is_dir(), used.is_dir()) == (False, True)


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
    ground: Ground, repo: Repo, org: Org, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirrors, "COMMITS_ALONE", "--no-filter")  # as from a host that knows no filters
    other = new_org(api, ground.root)
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


async def test_of_a_history_nothing_is_fetched_but_its_commits(repo: Repo, tmp_path: Path) -> None:
    mirror = mirror_of(repo, tmp_path)
    first = repo.commit({"large.bin": os.urandom(2 << 20), "orgs/a/org.yaml": "1"})
    repo.commit({"large.bin": os.urandom(2 << 20)})
    last = repo.commit({"large.bin": None})
    await mirror.fetch()
    assert await mirror.follows(first, last)
    assert sum(file.stat().st_size for file in mirror.git.folder.rglob("*") if file.is_file()) < 1 << 20
    repo.git("reset", "--quiet", "--hard", first)
    forked = repo.commit({"large.bin": None, "b": "2"})
    await mirror.fetch()
    assert await mirror.follows(first, forked)
    assert not await mirror.follows(last, forked)
    assert not await mirror.follows("0" * 40, forked)


def tree(repo: Repo, *entries: tuple[str, str, str]) -> str:
    """A tree that git itself would not write: modes, names and objects."""
    raw = b"".join(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(of) for mode, name, of in entries)
    file = repo.folder / "tree"
    file.write_bytes(raw)
    return repo.git("hash-object", "-t", "tree", "-w", "--literally", str(file))


def put(repo: Repo, orgs: str) -> None:
    """Commit this as the folder of policies."""
    commit = repo.git("commit-tree", "-m", "x", tree(repo, ("40000", "orgs", orgs)))
    repo.git("update-ref", "refs/heads/main", commit)


@pytest.mark.parametrize(
    "names", [["..", "org.yaml"], [".git", "org.yaml"], ["x", "a/org.yaml"], ["a", "org.yaml", "a"]]
)
async def test_names_that_no_folder_could_have_are_not_taken_in(repo: Repo, tmp_path: Path, names: list[str]) -> None:
    repo.commit({"org.yaml": "x"})
    made = repo.git("rev-parse", "HEAD:org.yaml")
    for name in reversed(names[:2]):
        kind = "100644" if name.endswith(".yaml") else "40000"
        made = tree(repo, *[(kind, name, made)] * len(names[1:]))
    put(repo, made)
    with pytest.raises(GitFailed, match="error: object"):
        await mirror_of(repo, tmp_path).fetch()


async def test_a_few_trees_that_are_a_billion_files_are_not_listed(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"org.yaml": "x"})
    made = tree(repo, ("100644", "org.yaml", repo.git("rev-parse", "HEAD:org.yaml")))
    for _ in range(9):
        made = tree(repo, *(("40000", f"d{number}", made) for number in range(10)))
    put(repo, made)
    mirror = msgspec.structs.replace(mirror_of(repo, tmp_path), limits=Limits(output_bytes=1 << 20))
    with pytest.raises(GitFailed, match="more than 1 MiB to say"):
        await mirror.policies((await mirror.fetch()).sha)


async def test_who_made_a_commit_moves_no_cursor(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"a": "1"}, "\x1b[31mred\u202e")
    assert (await mirror_of(repo, tmp_path).fetch()).subject == " [31mred "


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

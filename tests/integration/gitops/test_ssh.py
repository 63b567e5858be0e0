"""Repositories are had by ssh from a real sshd: with the key and the known host that were given, and no others."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ias.gitops.repositories import opening, reaching
from tests.integration.gitops.conftest import Ground
from tests.integration.gitops.repos import Repo, policy
from tests.integration.gitops.ssh_host import Host, client, hosting, new_key
from tests.integration.identity.conftest import Org, good
from tests.services import Services

BUDGET = "  budgets:\n    monthly_tokens: {}\n"
NAME = "policies.test"


@pytest.fixture(autouse=True)
def ssh(services: Services, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's ssh, or the one of the private root where it has none."""
    if shutil.which("ssh", path=os.defpath) is None:
        path = f"{client(services, tmp_path)}:{os.defpath}"
        monkeypatch.setattr(os, "defpath", path)
        monkeypatch.setattr(opening, "defpath", path)


@pytest.fixture(scope="module")
def host(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    with hosting(services, tmp_path_factory.mktemp("sshd")) as served:
        yield served


@pytest.fixture
def repo(host: Host, org: Org) -> Repo:
    return Repo(host.folder / org.tag)


def enable(ground: Ground, org: Org, url: str, key: str, known: str) -> httpx.Response:
    asked = {"repository": url, "ssh_key": key, "known_hosts": known}
    return ground.root.post(f"/organizations/{org.id}/gitops/enable", json=asked)


async def test_a_repository_on_ssh_is_followed_at_the_address_that_was_checked(
    ground: Ground, repo: Repo, org: Org, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = []

    async def lookup(name: str, port: int) -> list[str]:
        looked_up.append((name, port))
        return ["169.254.169.254", "127.0.0.1"]

    monkeypatch.setattr(reaching, "lookup", lookup)
    path, url = f"orgs/{org.name}/org.yaml", host.url(repo.folder / ".git", NAME)
    repo.git("config", "uploadpack.allowFilter", "true")
    for tokens in (1000, 2000, 3000):
        shutil.rmtree(ground.repositories.parent / "mirrors", ignore_errors=True)
        repo.commit({path: policy(org.name, BUDGET.format(tokens))})
        good(enable(ground, org, url, host.client.private, host.known(NAME)))
        await ground.reconcile()
        status = ground.status(org)
        assert (status["state"], status["applied_commit"]) == ("in-force", repo.head), status
        assert good(org.admin.client.get(f"/organizations/{org.id}/budget"))["monthly_tokens"] == tokens
    assert set(looked_up) == {(NAME, host.port)}


async def test_who_is_not_let_in_or_meets_another_host_is_told_what_to_do(
    ground: Ground, repo: Repo, org: Org, host: Host
) -> None:
    repo.commit({f"orgs/{org.name}/org.yaml": policy(org.name)})
    url, key, other = host.url(repo.folder / ".git"), host.client.private, new_key()
    cases = [
        (key, host.known("elsewhere.test"), "the host's key is not among the known hosts"),
        (key, host.known(key=other), "the host has another key than the known one"),
        (other.private, host.known(), "the host does not take the key"),
    ]
    for private, known, said in cases:
        good(enable(ground, org, url, private, known))
        await ground.reconcile()
        status = ground.status(org)
        assert (status["state"], said in status["error"]) == ("waiting", True), status["error"]
    good(enable(ground, org, url, key, host.known()))
    await ground.reconcile()
    assert (ground.status(org)["state"], ground.status(org)["error"]) == ("in-force", "")

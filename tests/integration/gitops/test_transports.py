"""Repositories are had by https with a token and by ssh with a key; neither is told to anybody."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ias.db import uuid7
from ias.gitops.repositories.domain import Address, Transport
from ias.gitops.repositories.mirror import Credential, GitFailed, Mirror
from ias.settings import settings
from tests.integration.gitops.conftest import Ground
from tests.integration.gitops.https_host import BACKEND, Host, hosting
from tests.integration.gitops.repos import Repo, policy
from tests.integration.identity.conftest import Org, good
from tests.services import free_port

TOKEN = "a-token-that-nobody-is-told"
BUDGET = "  budgets:\n    monthly_tokens: {}\n"

needs_backend = pytest.mark.skipif(not BACKEND.exists(), reason="git came without git-http-backend")


@pytest.fixture
def host(ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with hosting(ground.repositories, tmp_path, TOKEN) as served:
        monkeypatch.setenv("IAS_GITOPS_CA_FILE", str(served.certificate))
        settings.cache_clear()
        yield served
    monkeypatch.undo()
    settings.cache_clear()


def kept(key: Path) -> tuple[str, int] | None:
    return (key.read_text(), key.stat().st_mode & 0o777) if key.exists() else None


def bind(ground: Ground, org: Org, url: str, **secret: str) -> None:
    good(ground.root.post(f"/organizations/{org.id}/gitops/enable", json={"repository": url, **secret}))


@needs_backend
async def test_a_repository_on_https_is_followed_with_a_token_that_nobody_is_told(
    ground: Ground, repo: Repo, org: Org, host: Host
) -> None:
    path = f"orgs/{org.name}/org.yaml"
    repo.commit({"README.md": "x"})
    repo.commit({path: policy(org.name, BUDGET.format(1000))})
    bind(ground, org, host.url(repo.folder / ".git"), token=TOKEN)
    await ground.reconcile()
    assert ground.status(org)["state"] == "in-force", ground.status(org)
    for tokens in (2000, 3000):
        repo.commit({path: policy(org.name, BUDGET.format(tokens))})
    await ground.reconcile()
    status = ground.status(org)
    assert (status["state"], status["applied_commit"]) == ("in-force", repo.head)
    assert good(org.admin.client.get(f"/organizations/{org.id}/budget"))["monthly_tokens"] == 3000
    stored = await ground.value("SELECT credential FROM gitops.repositories")
    assert TOKEN.encode() not in stored
    told = [ground.root.get(f"/organizations/{org.id}/gitops/status").text, ground.root.get("/audit-logs").text]
    mirrors = [file.read_bytes() for file in (ground.repositories.parent / "mirrors").rglob("*") if file.is_file()]
    assert TOKEN not in "".join(told)
    assert not any(TOKEN.encode() in kept for kept in mirrors)


@needs_backend
async def test_a_wrong_token_is_told_and_none_is_asked_for(ground: Ground, repo: Repo, org: Org, host: Host) -> None:
    repo.commit({f"orgs/{org.name}/org.yaml": policy(org.name)})
    bind(ground, org, host.url(repo.folder / ".git"), token="another")
    await asyncio.wait_for(ground.reconcile(), 60)
    status = ground.status(org)
    assert (status["state"], "another" in str(status)) == ("waiting", False)
    assert status["error"]


@needs_backend
async def test_a_redirection_is_not_followed_and_the_token_goes_nowhere_else(
    ground: Ground, repo: Repo, org: Org, host: Host, tmp_path_factory: pytest.TempPathFactory
) -> None:
    repo.commit({f"orgs/{org.name}/org.yaml": policy(org.name)})
    with hosting(ground.repositories, tmp_path_factory.mktemp("other")) as other:
        host.redirect = f"https://127.0.0.1:{other.port}"
        bind(ground, org, host.url(repo.folder / ".git"), token=TOKEN)
        await ground.reconcile()
        assert other.asked == []
    assert ground.status(org)["error"]


@needs_backend
async def test_a_certificate_that_nobody_vouches_for_is_refused(
    ground: Ground, repo: Repo, org: Org, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.commit({f"orgs/{org.name}/org.yaml": policy(org.name)})
    monkeypatch.delenv("IAS_GITOPS_CA_FILE")
    settings.cache_clear()
    bind(ground, org, host.url(repo.folder / ".git"), token=TOKEN)
    await ground.reconcile()
    assert "certificate" in ground.status(org)["error"].lower()
    assert host.asked == []


@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here")
async def test_ssh_asks_nobody_and_uses_the_key_and_the_hosts_that_were_given_alone(tmp_path: Path) -> None:
    mirror = Mirror(
        id=uuid7(),
        address=Address(Transport.SSH, f"ssh://git@127.0.0.1:{free_port()}/x.git"),
        branch="main",
        credential=Credential(ssh_key="a key", known_hosts="127.0.0.1 ssh-ed25519 x"),
        root=tmp_path,
    )
    with pytest.raises(GitFailed, match="Connection refused"):
        await mirror.fetch()
    async with mirror._opened() as environment:
        words = environment["GIT_SSH_COMMAND"].split()
        key = Path(words[words.index("-i") + 1])
        assert kept(key) == ("a key\n", 0o600)
        assert {"StrictHostKeyChecking=yes", "BatchMode=yes", "IdentitiesOnly=yes"} <= set(words)
        assert words[:3] == ["ssh", "-F", "/dev/null"]
        assert environment["GIT_ALLOW_PROTOCOL"] == "ssh"
    assert kept(key) is None

"""Repositories are had by https with a token and by ssh with a key; neither is told to anybody."""

import asyncio
import contextlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from ias.contract.addresses import networks
from ias.db import uuid7
from ias.gitops.repositories import opening, programs, reaching
from ias.gitops.repositories.credentials import Credential
from ias.gitops.repositories.domain import Address, Transport
from ias.gitops.repositories.mirror import GitFailed, Mirror
from ias.gitops.repositories.opening import opened
from ias.settings import settings
from ias.vitals import repositories
from tests.integration.gitops.conftest import Ground
from tests.integration.gitops.https_host import BACKEND, Host, hosting
from tests.integration.gitops.repos import Repo, policy
from tests.integration.gitops.ssh_host import new_key
from tests.integration.identity.conftest import Org, good
from tests.services import free_port

NAME = "policies.test"
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
    bind(ground, org, host.url(repo.folder / ".git"), token="a-wrong-one")
    await asyncio.wait_for(ground.reconcile(), 60)
    status = ground.status(org)
    assert (status["state"], "a-wrong-one" in str(status)) == ("waiting", False)
    assert "the host wants a token, or another one" in status["error"]


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


def leads_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Let every name lead there; which were looked up is told."""
    asked = []

    async def lookup(name: str, _: int) -> list[str]:
        asked.append(name)
        return list(addresses)

    monkeypatch.setattr(reaching, "lookup", lookup)
    return asked


@needs_backend
async def test_git_connects_to_the_address_that_was_checked_and_looks_nothing_up_itself(
    ground: Ground, repo: Repo, org: Org, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.commit({f"orgs/{org.name}/org.yaml": policy(org.name)})
    asked = leads_to(monkeypatch, "169.254.169.254", "127.0.0.1")
    bind(ground, org, host.url(repo.folder / ".git").replace("127.0.0.1", NAME), token=TOKEN)
    await ground.reconcile()
    assert ground.status(org)["state"] == "in-force", ground.status(org)
    assert asked == [NAME]


@pytest.mark.parametrize(
    ("addresses", "said"),
    [
        (["169.254.169.254"], "leads to a link-local address (169.254.169.254)"),
        (["::ffff:100.100.100.200"], "leads to a cloud's metadata service"),
        (["10.0.0.1"], ""),
        (["0.0.0.0"], "leads to a reserved address"),
        ([], "leads to no address"),
    ],
)
async def test_where_a_name_leads_is_looked_at_before_anybody_connects(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, addresses: list[str], said: str
) -> None:
    leads_to(monkeypatch, *addresses)
    for url in (f"https://{NAME}/x.git", f"ssh://git@{NAME}/x.git"):
        at = Address(Transport(url.partition(":")[0]), url)
        credential = Credential(ssh_key="x", known_hosts="x") if at.transport is Transport.SSH else Credential()
        with contextlib.nullcontext() if not said else pytest.raises(GitFailed, match=re.escape(said)):
            async with opened(at, credential, networks("127.0.0.0/8"), "", tmp_path) as environment:
                assert "10.0.0.1" in str(environment)


async def test_a_name_that_nobody_has_is_told() -> None:
    with pytest.raises(GitFailed, match=r"nobody\.invalid could not be looked up"):
        await reaching.checked("nobody.invalid", 443, ())


@pytest.mark.parametrize("protocol", ["https", "ssh"])
async def test_without_a_resolver_git_would_find_this_machine_and_is_kept_from_it(
    protocol: str, tmp_path: Path
) -> None:
    at = Address(Transport(protocol), f"{protocol}://localhost/x.git")
    with pytest.raises(GitFailed, match="localhost leads to a loopback address"):
        async with opened(at, Credential(ssh_key="x", known_hosts="x"), (), "", tmp_path):
            pass


async def test_where_there_is_no_ssh_its_absence_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(opening, "defpath", str(tmp_path))
    at = Address(Transport.SSH, "ssh://git@127.0.0.1/x.git")
    with pytest.raises(GitFailed, match="ssh is not installed where the worker runs"):
        async with opened(at, Credential(ssh_key="x", known_hosts="x"), networks("127.0.0.0/8"), "", tmp_path):
            pass


async def test_the_doctor_says_what_is_not_installed_and_what_cannot_be_had(
    ground: Ground, org: Org, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert [finding.well for finding in await repositories.look()] == [True, True]
    url = f"ssh://git@127.0.0.1:{free_port()}/x.git"
    key = new_key()
    bind(ground, org, url, ssh_key=key.private, known_hosts=f"127.0.0.1 {key.public}")
    monkeypatch.setattr(opening, "defpath", str(tmp_path))
    monkeypatch.setattr(programs, "defpath", str(tmp_path))
    await ground.reconcile()
    installed, had = await repositories.look()
    assert "ssh, by which 1 repositories are bound" in installed.said
    assert f"1 of 1 cannot be had; {url}: ssh is not installed" in had.said
    assert (installed.well, had.well, had.figures[0].value) == (False, False, 1)


@pytest.mark.parametrize(
    ("url", "secret", "field"),
    [
        ("https://example.org/x", {"ssh_key": "x"}, "/ssh_key"),
        ("ssh://git@example.org/x", {"token": "x"}, "/token"),
        ("ssh://git@example.org/x", {"known_hosts": f"example.org {new_key().public}"}, "/ssh_key"),
        ("ssh://git@example.org/x", {"ssh_key": new_key().private}, "/known_hosts"),
        ("ssh://git@example.org/x", {"ssh_key": "x", "known_hosts": f"example.org {new_key().public}"}, "/ssh_key"),
        ("ssh://git@example.org/x", {"ssh_key": new_key("x").private, "known_hosts": "x"}, "/ssh_key"),
        ("ssh://git@example.org/x", {"ssh_key": new_key().private, "known_hosts": "example.org"}, "/known_hosts"),
    ],
)
def test_what_cannot_open_a_repository_is_refused_at_once(
    ground: Ground, org: Org, url: str, secret: dict[str, str], field: str
) -> None:
    answer = ground.root.post(f"/organizations/{org.id}/gitops/enable", json={"repository": url, **secret})
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["pointer"] == field


@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh here")
async def test_ssh_asks_nobody_and_uses_the_key_and_the_hosts_that_were_given_alone(tmp_path: Path) -> None:
    mirror = Mirror(
        id=uuid7(),
        address=Address(Transport.SSH, f"ssh://git@127.0.0.1:{free_port()}/x.git"),
        branch="main",
        credential=Credential(ssh_key="a key", known_hosts="127.0.0.1 ssh-ed25519 x"),
        root=tmp_path,
        allowed=networks("127.0.0.0/8"),
    )
    with pytest.raises(GitFailed, match="Connection refused"):
        await mirror.fetch()
    async with opened(mirror.address, mirror.credential, mirror.allowed, "", tmp_path) as environment:
        words = environment["GIT_SSH_COMMAND"].split()
        key = Path(words[words.index("-i") + 1])
        assert kept(key) == ("a key\n", 0o600)
        assert (key.parent.parent, key.parent.stat().st_mode & 0o777) == (tmp_path, 0o700)
        assert {"StrictHostKeyChecking=yes", "BatchMode=yes", "IdentitiesOnly=yes", "HostName=127.0.0.1"} <= set(words)
        assert words[:3] == ["ssh", "-F", "/dev/null"]
        assert environment["GIT_ALLOW_PROTOCOL"] == "ssh"
    assert kept(key) is None

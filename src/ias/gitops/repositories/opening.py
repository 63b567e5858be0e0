"""What lets git reach a repository: a way by one protocol to a checked address, and what opens it there."""

import shlex
import shutil
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address
from os import defpath
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ias.contract.addresses import Network
from ias.gitops.repositories.credentials import Credential
from ias.gitops.repositories.domain import Address, Transport
from ias.gitops.repositories.git import GitFailed
from ias.gitops.repositories.reaching import answering, checked

_PORTS: Final = {Transport.HTTPS: 443, Transport.SSH: 22}
_USER: Final = "x-access-token"
SECRETS: Final = "ias-ssh-"
"""What the names of folders begin with that hold a key while git runs; a worker that is killed leaves its own."""


@asynccontextmanager
async def opened(
    at: Address, credential: Credential, allowed: Sequence[Network], ca_file: str, root: Path
) -> AsyncIterator[dict[str, str]]:
    """The environment that git needs to fetch from there; what it holds is seen by no other user.

    A key lies in `root` meanwhile, where `mirror.sweep` finds it.

    Raises:
        GitFailed: the host may not be reached, or something is missing that it takes.
    """
    way = {"GIT_ALLOW_PROTOCOL": at.transport.value}
    if at.transport is Transport.LOCAL:
        yield way
        return
    parts = urlsplit(at.url)
    host, port = parts.hostname or "", parts.port or _PORTS[at.transport]
    addresses = await checked(host, port, allowed)
    if at.transport is Transport.HTTPS:
        pinned = [("http.curloptResolve", f"{host}:{port}:{','.join(addresses)}")] if _is_name(host) else []
        yield way | _https(credential, ca_file, pinned)
        return
    _check_ssh(credential)
    with tempfile.TemporaryDirectory(prefix=SECRETS, dir=root) as folder:
        address = await answering(addresses, port)
        yield way | {"GIT_SSH_COMMAND": _ssh(Path(folder), credential, parts, address)}


def _https(credential: Credential, ca_file: str, pinned: list[tuple[str, str]]) -> dict[str, str]:
    entries = list(pinned)
    if credential.token:
        basic = b64encode(f"{_USER}:{credential.token}".encode()).decode()
        entries.append(("http.extraHeader", f"Authorization: Basic {basic}"))
    environment = {"GIT_SSL_CAINFO": ca_file} if ca_file else {}
    for number, (name, value) in enumerate(entries):
        environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return environment | {"GIT_CONFIG_COUNT": str(len(entries))}


def _check_ssh(credential: Credential) -> None:
    if not credential.ssh_key:
        raise GitFailed("ssh needs a private key and the host's public ones; enable Git again with them")
    if shutil.which("ssh", path=defpath) is None:
        raise GitFailed("ssh is not installed where the worker runs; install it there, or bind the repository by https")


def _ssh(folder: Path, credential: Credential, parts: SplitResult, address: str) -> str:
    key, hosts = folder.absolute() / "key", folder.absolute() / "known_hosts"
    key.touch(mode=0o600)
    key.write_text(credential.ssh_key.strip() + "\n")
    hosts.write_text(credential.known_hosts.strip() + "\n")
    name = parts.hostname or ""
    options = {
        "HostName": address,
        "HostKeyAlias": name if parts.port in {None, _PORTS[Transport.SSH]} else f"[{name}]:{parts.port}",
        "CheckHostIP": "no",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": f'"{hosts}"',  # it may be several, with spaces between
        "GlobalKnownHostsFile": "/dev/null",
        "ForwardAgent": "no",
        "PermitLocalCommand": "no",
        "ConnectTimeout": "10",
    }
    words = [word for option, value in options.items() for word in ("-o", f"{option}={value}")]
    return shlex.join(["ssh", "-F", "/dev/null", "-i", str(key), *words])


def _is_name(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return True
    return False

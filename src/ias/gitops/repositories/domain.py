"""Where a repository may be, and which of its files are policies."""

import re
from collections.abc import Sequence
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from ias.contract.addresses import Network, allows, why_not
from ias.gitops.documents.faults import shown
from ias.gitops.documents.tree import MOST_BYTES
from ias.identity.values import folded
from ias.problems import FieldError, Problem

FOLDER: Final = "orgs"
FILE: Final = "org.yaml"
PLAIN: Final = "100644"
_USER: Final = re.compile(r"[a-z_][a-z0-9._-]*")
_SCP: Final = re.compile(r"(?P<user>[a-z_][a-z0-9._-]*)@(?P<host>[A-Za-z0-9.-]+):(?P<path>[^:/].*)")
_BRANCH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}")
_PATH: Final = re.compile(r"[A-Za-z0-9._~%/@+-]{1,500}")
_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?")
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_LOCALHOST: Final = ip_address("127.0.0.1")


class BadRepository(Problem):
    """It is not an address that repositories are fetched from."""

    title = "Bad repository"


class Transport(StrEnum):
    """How a repository is fetched; each is the only protocol that git may use for it."""

    HTTPS = "https"
    SSH = "ssh"
    LOCAL = "file"


class Address(msgspec.Struct, frozen=True):
    """Where a repository is."""

    transport: Transport
    url: str


class Entry(msgspec.Struct, frozen=True):
    """A policy file of a commit, or why it is none."""

    path: str
    blob: str
    wrong: str = ""


def address(url: str, local: Sequence[Path], allowed: Sequence[Network]) -> Address:
    """The address in one form.

    Args:
        url: what was given.
        local: the folders that repositories on this machine may be in.
        allowed: networks that the deployment lists though they are this machine's or its link's.

    Raises:
        BadRepository: nothing is fetched from there; says why.
    """
    odd = not url.isascii() or not url.isprintable() or url != url.strip()
    if odd or len(url) > 1000 or url.startswith("-"):  # noqa: PLR2004 - a URL
        raise _bad("must be a URL of printable ASCII characters, with no space around it")
    if url.startswith(("/", "file:///")):
        return Address(Transport.LOCAL, _folder(url.removeprefix("file://"), local))
    scp = _SCP.fullmatch(url)
    if scp is not None:
        url = f"ssh://{scp['user']}@{scp['host']}/{scp['path']}"
    parts = _parts(url)
    if parts.scheme not in {Transport.HTTPS, Transport.SSH}:
        raise _bad("must begin with https:// or ssh://, be like git@host:path, or be a folder of this machine")
    if parts.query or parts.fragment or not _PATH.fullmatch(parts.path) or ".." in parts.path:
        raise _bad("must have a plain path: no query, no fragment, no '..'")
    _check_user(parts)
    _check_port(parts)
    _check_host(parts.hostname or "", allowed)
    return Address(Transport(parts.scheme), parts.geturl())


def check_branch(branch: str) -> str:
    """The branch, if git can have one of this name.

    Raises:
        BadRepository: it cannot.
    """
    odd = ".." in branch or "//" in branch or branch.endswith(("/", ".", ".lock")) or "/." in branch
    if odd or not _BRANCH.fullmatch(branch):
        raise BadRepository(
            "branch: must be the name of a branch, such as main", (FieldError("/branch", "is no name"),)
        )
    return branch


def path_of(name: str) -> str:
    """Where an organisation's policy is."""
    return f"{FOLDER}/{name}/{FILE}"


def check_name(name: str) -> None:
    """Nothing, if a folder can be called like this organisation.

    Raises:
        BadRepository: it cannot.
    """
    if "/" in name or "\\" in name or name in {".", "..", ".git"} or name.startswith("-"):
        raise BadRepository(f"no folder can be called {name!r}; rename the organisation first")


def entries(listing: bytes) -> dict[str, Entry]:
    """The policies of a commit by their folders' names, out of `git ls-tree -r -l -z`."""
    found: dict[str, Entry] = {}
    twins: dict[str, list[str]] = {}
    for line in listing.split(b"\0"):
        about, _, raw = line.partition(b"\t")
        path = raw.decode("utf-8", "replace")
        steps = path.split("/")
        if len(steps) != 3 or steps[0] != FOLDER or steps[2].casefold() != FILE:  # noqa: PLR2004 - orgs/<name>/org.yaml
            continue
        mode, kind, blob, size = about.decode().split()
        found[steps[1]] = Entry(path, blob, _why_none(mode, kind, size, steps[2]))
        twins.setdefault(folded(steps[1]), []).append(steps[1])
    for names in (names for names in twins.values() if len(names) > 1):
        said = _twins(sorted(set(names)))
        found |= {name: msgspec.structs.replace(found[name], wrong=said) for name in set(names)}
    return found


def _twins(names: Sequence[str]) -> str:
    """What is wrong with folders that are one for people; how many they are makes it no longer."""
    if len(names) == 1:
        return f"is there more than once: keep one {FILE} in the folder {shown(names[0])}"
    more = f" and {len(names) - 2:,} more" if len(names) > 2 else ""  # noqa: PLR2004 - two are named
    return f"{shown(names[0])} and {shown(names[1])}{more} differ in case or spelling alone; keep one of them"


def _why_none(mode: str, kind: str, size: str, file: str) -> str:
    if file != FILE:
        return f"must be called {FILE}"
    if kind != "blob" or mode != PLAIN:
        return "must be a plain file that is not executable: no symbolic link, no submodule"
    return f"has {int(size):,} bytes; {MOST_BYTES:,} are taken" if int(size) > MOST_BYTES else ""


def _folder(path: str, local: Sequence[Path]) -> str:
    real = Path(path).resolve()
    if not any(real.is_relative_to(each.resolve()) for each in local):
        raise _bad("is on this machine, outside of the folders that IAS_GITOPS_LOCAL lists")
    return str(real)


def _parts(url: str) -> SplitResult:
    said = "must have brackets around an IPv6 address alone"
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _bad(said) from None
    if "[" in parts.netloc and ":" not in (parts.hostname or ""):
        raise _bad(said)
    return parts


def _check_user(parts: SplitResult) -> None:
    if parts.password is not None or (parts.scheme == Transport.HTTPS and parts.username is not None):
        raise _bad("must have no password or token in it; give the token by itself")
    if parts.username is not None and not _USER.fullmatch(parts.username):
        raise _bad("must have a plain user name before the @, such as git")


def _check_port(parts: SplitResult) -> None:
    try:
        fits = parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.netloc.endswith(":"):
        raise _bad("must have a port from 1 to 65535, or none")


def _check_host(host: str, allowed: Sequence[Network]) -> None:
    try:
        place = ip_address(host)
    except ValueError:
        _check_host_name(host, allowed)
        return
    kind = why_not(place, allowed)
    if kind is not None:
        raise _bad(f"{host} is {kind}")


def _check_host_name(host: str, allowed: Sequence[Network]) -> None:
    # No dot at the end: git's library takes it for another name than the one whose address was checked.
    labels = host.split(".")
    if not all(map(_LABEL.fullmatch, labels)) or _NUMERIC.fullmatch(labels[-1]):
        raise _bad("must have a host name or an address, in its usual spelling")
    if labels[-1] == "localhost" and not allows(allowed, _LOCALHOST):
        raise _bad("must name a host that is not this machine")


def _bad(said: str) -> BadRepository:
    return BadRepository(f"repository: {said}", (FieldError("/repository", said),))

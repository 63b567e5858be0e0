"""What opens a repository: looked at when it is given, so that nobody waits for a fetch to hear that it is none."""

from base64 import b64decode
from collections.abc import Iterator
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

from ias.gitops.repositories.domain import Transport
from ias.problems import FieldError, Problem

_OPENSSH: Final = "-----BEGIN OPENSSH PRIVATE KEY-----"
_FIELDS: Final = 3
"""A line of known hosts: names, kind of key, key."""


class BadCredential(Problem):
    """It opens no repository of this kind."""

    title = "Bad credential"


class Credential(msgspec.Struct, frozen=True):
    """A token for https, or a private key and its host's public ones for ssh."""

    token: str = ""
    ssh_key: str = ""
    known_hosts: str = ""


def check(given: Credential, transport: Transport) -> Credential:
    """The credential, if it can be one for this transport; nothing at all is one too.

    Raises:
        BadCredential: it cannot; says all that is wrong with it.
    """
    wrong = list(_wrong(given, transport))
    if wrong:
        errors = tuple(FieldError(f"/{name}", said) for name, said in wrong)
        raise BadCredential("; ".join(f"{name}: {said}" for name, said in wrong), errors)
    return given


def _wrong(given: Credential, transport: Transport) -> Iterator[tuple[str, str]]:
    if given.token and transport is not Transport.HTTPS:
        yield "token", "is for https; ssh takes a key and known hosts, a folder takes nothing"
    if transport is not Transport.SSH:
        yield from ((name, "is for ssh") for name in ("ssh_key", "known_hosts") if getattr(given, name))
        return
    if bool(given.ssh_key) != bool(given.known_hosts):
        missing = "known_hosts" if given.ssh_key else "ssh_key"
        yield missing, "is missing: ssh takes a private key and the host's public keys together"
    for name, said in (("ssh_key", _wrong_key(given.ssh_key)), ("known_hosts", _wrong_hosts(given.known_hosts))):
        if said:
            yield name, said


def _wrong_key(key: str) -> str:
    if not key:
        return ""
    load = load_ssh_private_key if _OPENSSH in key else load_pem_private_key
    try:
        load(key.strip().encode() + b"\n", None)
    except TypeError:
        return "has a passphrase; give a key of its own that has none"
    except (ValueError, UnsupportedAlgorithm):
        return "must be a private key, such as `ssh-keygen -t ed25519` makes"
    return ""


def _wrong_hosts(hosts: str) -> str:
    lines = (line.split() for line in hosts.splitlines() if line.strip() and not line.startswith("#"))
    wrong = [number for number, words in enumerate(lines, 1) if not _is_host(words)]
    return f"must be lines such as `ssh-keyscan HOST` prints; number {wrong[0]} is none" if wrong else ""


def _is_host(words: list[str]) -> bool:
    rest = words[1:] if words[0].startswith("@") else words
    if len(rest) < _FIELDS:
        return False
    try:
        return rest[1].encode() in b64decode(rest[2], validate=True)
    except ValueError:
        return False

"""Where a person's sessions are kept: tokens in the system's keyring where there is one, the rest in a 0600 file."""

import contextlib
import os
from pathlib import Path

import keyring
import msgspec
from keyring.errors import KeyringError
from platformdirs import user_config_path

from ias.client import Tokens

SERVICE = "ias-admin"
DEFAULT = "default"


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One deployment as one person: where its API is, who logged in. `tokens` only where there is no keyring."""

    api_url: str
    email: str = ""
    tokens: Tokens | None = None


class Profiles(msgspec.Struct, omit_defaults=True):
    """All of them, by name."""

    profiles: dict[str, Profile] = {}


def path() -> Path:
    """The file of the profiles."""
    return user_config_path("ias", appauthor=False) / "profiles.json"


def load(name: str) -> Profile | None:
    """The profile of this name with its tokens, None where there is none."""
    profile = _all().profiles.get(name)
    if profile is None or profile.tokens is not None:
        return profile
    return msgspec.structs.replace(profile, tokens=_from_keyring(name))


def save(name: str, profile: Profile) -> None:
    """Keep a profile; the tokens go into the keyring where there is one."""
    every = _all()
    kept = msgspec.structs.replace(profile, tokens=None) if _into_keyring(name, profile.tokens) else profile
    every.profiles[name] = kept
    _write(every)


def forget(name: str) -> None:
    """Drop the tokens of a profile; where its API is stays known."""
    every = _all()
    with contextlib.suppress(KeyringError):
        keyring.delete_password(SERVICE, name)
    if name in every.profiles:
        every.profiles[name] = msgspec.structs.replace(every.profiles[name], tokens=None)
        _write(every)


def _all() -> Profiles:
    try:
        return msgspec.json.decode(path().read_bytes(), type=Profiles)
    except FileNotFoundError:
        return Profiles(profiles={})


def _write(every: Profiles) -> None:
    """In one step, so that a reader never sees half of it, and readable by its owner alone from the first byte on."""
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = file.with_suffix(f".{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(msgspec.json.encode(every))
    new.replace(file)


def _from_keyring(name: str) -> Tokens | None:
    try:
        kept = keyring.get_password(SERVICE, name)
    except KeyringError:
        return None
    return None if kept is None else msgspec.json.decode(kept, type=Tokens)


def _into_keyring(name: str, tokens: Tokens | None) -> bool:
    """Whether the keyring has them now; one that forgets at once is none."""
    if tokens is None:
        return True
    try:
        keyring.set_password(SERVICE, name, msgspec.json.encode(tokens).decode())
    except KeyringError:
        return False
    return _from_keyring(name) == tokens

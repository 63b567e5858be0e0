"""Where a person's sessions are kept: tokens in the system's keyring where there is one, the rest in a 0600 file.

Several shells share a session. A refresh token works once, and using it again ends the session for all of them; so
whoever renews it does so alone, and looks first whether another has.
"""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import msgspec
from platformdirs import user_config_path

from ias.client import Tokens

SERVICE = "ias-admin"
DEFAULT = "default"
_OTHERS = 0o077


class BadProfiles(Exception):
    """The file of the profiles cannot be used; the message says what to do."""


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """One deployment as one person: where its API is, who logged in. `tokens` only where there is no keyring."""

    api_url: str
    email: str = ""
    tokens: Tokens | None = None
    in_keyring: bool = False

    def tokens_for(self, api_url: str) -> Tokens | None:
        """The session, where it is this address's: no other is shown it."""
        return self.tokens if api_url.rstrip("/") == self.api_url.rstrip("/") else None


class Profiles(msgspec.Struct, omit_defaults=True):
    """All of them, by name."""

    profiles: dict[str, Profile] = {}


def path() -> Path:
    """The file of the profiles."""
    return user_config_path("ias", appauthor=False) / "profiles.json"


def load(name: str) -> Profile | None:
    """The profile of this name with its tokens, None where there is none.

    Raises:
        BadProfiles: the file is damaged, or may not be read.
    """
    profile = _all().profiles.get(name)
    if profile is None or not profile.in_keyring:
        return profile
    return msgspec.structs.replace(profile, tokens=_from_keyring(name))


def save(name: str, profile: Profile) -> None:
    """Keep a profile; the tokens go into the keyring where there is one.

    Raises:
        BadProfiles: the file is damaged, or may not be written.
    """
    with _alone():
        _save(name, profile)


def forget(name: str) -> None:
    """Drop the tokens of a profile; where its API is stays known.

    Raises:
        BadProfiles: the file is damaged, or may not be written.
    """
    with _alone():
        every = _all()
        profile = every.profiles.get(name)
        if profile is None:
            return
        if profile.in_keyring:
            _from_the_keyring_too(name)
        every.profiles[name] = msgspec.structs.replace(profile, tokens=None, in_keyring=False)
        _write(every)


def renew(name: str, api_url: str, old: Tokens, exchange: Callable[[Tokens], Tokens | None]) -> Tokens | None:
    """The session to go on with in place of `old`: the one that another shell has begun meanwhile, or a new one.

    None where there is none, or the profile is another address's by now.

    Raises:
        BadProfiles: the file is damaged, or may not be written.
    """
    with _alone():
        profile = load(name)
        if profile is None or (kept := profile.tokens_for(api_url)) is None:
            return None
        if kept != old:
            return kept
        new = exchange(old)
        if new is not None:
            _save(name, msgspec.structs.replace(profile, tokens=new))
        return new


def _save(name: str, profile: Profile) -> None:
    every = _all()
    kept = profile.tokens is not None and _into_keyring(name, profile.tokens)
    tokens = None if kept else profile.tokens
    every.profiles[name] = msgspec.structs.replace(profile, tokens=tokens, in_keyring=kept)
    _write(every)


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """While this runs, no other shell changes profiles."""
    with _told():
        path().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(path().with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@contextlib.contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BadProfiles(f"{path()}: {error.strerror}; set XDG_CONFIG_HOME to a folder of yours") from None


def _all() -> Profiles:
    with _told():
        try:
            text = path().read_bytes()
        except FileNotFoundError:
            return Profiles(profiles={})
        if path().stat().st_mode & _OTHERS:
            path().chmod(0o600)
    try:
        return msgspec.json.decode(text, type=Profiles)
    except msgspec.MsgspecError as error:
        raise BadProfiles(f"{path()} is damaged ({error}); remove it and run `ias-admin login`") from None


def _write(every: Profiles) -> None:
    """In one step, so that a reader never sees half of it, and readable by its owner alone from the first byte on."""
    with _told():
        descriptor, new = tempfile.mkstemp(dir=path().parent, prefix=".profiles.")
        try:
            with os.fdopen(descriptor, "wb") as out:
                out.write(msgspec.json.encode(every))
            Path(new).replace(path())
        except BaseException:
            Path(new).unlink(missing_ok=True)
            raise


def _from_keyring(name: str) -> Tokens | None:
    keyring = _keyring()
    try:
        kept = keyring.get_password(SERVICE, name)
        return None if kept is None else msgspec.json.decode(kept, type=Tokens)
    except (keyring.errors.KeyringError, msgspec.MsgspecError):
        return None


def _into_keyring(name: str, tokens: Tokens) -> bool:
    """Whether the keyring has them now; one that forgets at once is none."""
    keyring = _keyring()
    try:
        keyring.set_password(SERVICE, name, msgspec.json.encode(tokens).decode())
    except keyring.errors.KeyringError:
        return False
    return _from_keyring(name) == tokens


def _from_the_keyring_too(name: str) -> None:
    keyring = _keyring()
    with contextlib.suppress(keyring.errors.KeyringError):
        keyring.delete_password(SERVICE, name)


def _keyring() -> ModuleType:
    # It looks at every backend of the machine when it is read in, which only those whose tokens are there should pay.
    import keyring.errors  # noqa: PLC0415 - see above

    return keyring

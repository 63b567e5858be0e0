"""Hashing passwords, two at a time and twenty waiting, so that a flood of logins slows nothing else.

New ones are hashed as the setting says, by bcrypt or argon2id; old ones are known by their form, and hashed anew when
their owner logs in.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from secrets import token_urlsafe
from typing import TypeVar

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from zxcvbn import zxcvbn

from ias.identity.sessions.domain import faults, fits
from ias.problems import FieldError, Problem
from ias.settings import settings

WORKERS = 2
QUEUE = 20
MIN_SCORE = 3
"""zxcvbn's "safely unguessable": more than 10^8 guesses."""

ARGON2ID = "argon2id"
_ARGON2ID = f"${ARGON2ID}$"
_ARGON2 = PasswordHasher()
"""With the parameters of RFC 9106's second choice: 64 MiB, three passes, four lanes."""

_POOL = ThreadPoolExecutor(WORKERS, "passwords")
_PENDING: set[object] = set()

ResultT = TypeVar("ResultT")


class TooManyLogins(Problem):
    """The queue of passwords to be checked is full."""

    status = 503
    title = "Too many logins at once"
    retry_after_s = 2


class WeakPassword(Problem):
    """The password breaks a rule, or is easily guessed."""

    title = "Weak password"


async def hashed(password: str, hints: tuple[str, ...] = (), pointer: str = "/password") -> str:
    """The hash of a new password; `hints` are words that it must not be made of.

    Raises:
        WeakPassword: it cannot be taken; `errors` says everything that is wrong with it.
        TooManyLogins: come back later.
    """
    wrong = faults(password)
    if wrong:
        raise _weak(wrong, pointer)
    wrong, digest = await _in_pool(lambda: _hash(password, hints))
    if wrong:
        raise _weak(wrong, pointer)
    return digest


async def matches(password: str, stored: str | None) -> bool:
    """Whether it is the password; takes as long where there is none stored (unknown user).

    Raises:
        TooManyLogins: come back later.
    """
    if not fits(password):
        return False
    return await _in_pool(lambda: _is_somebodys(password, stored))


def outdated(stored: str) -> bool:
    """Whether a hash was made otherwise than new ones are."""
    if settings().hash_passwords_with == ARGON2ID:
        return not stored.startswith(_ARGON2ID) or _ARGON2.check_needs_rehash(stored)
    return not stored.startswith(f"$2b${settings().bcrypt_cost:02d}$")


async def hashed_anew(password: str) -> str:
    """The hash of a password that was taken before.

    Raises:
        TooManyLogins: come back later.
    """
    return await _in_pool(lambda: _digest(password))


async def _in_pool(work: Callable[[], ResultT]) -> ResultT:
    if len(_PENDING) >= WORKERS + QUEUE:
        raise TooManyLogins("too many passwords are being checked; try again in a moment")
    ticket = object()
    _PENDING.add(ticket)
    try:
        return await asyncio.get_running_loop().run_in_executor(_POOL, work)
    finally:
        _PENDING.discard(ticket)


def _hash(password: str, hints: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    guessed = zxcvbn(password, user_inputs=list(hints))
    if guessed["score"] < MIN_SCORE:
        feedback = guessed["feedback"]
        return (f"is easily guessed: {' '.join((feedback['warning'], *feedback['suggestions'])).strip()}",), ""
    return (), _digest(password)


def _digest(password: str) -> str:
    if settings().hash_passwords_with == ARGON2ID:
        return _ARGON2.hash(password)
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(settings().bcrypt_cost)).decode()


def _is_somebodys(password: str, stored: str | None) -> bool:
    nobodys = _nobodys()  # for known users, too: the first one of a process pays for it, whoever that is
    return _same(password, stored or nobodys) and stored is not None


def _same(password: str, stored: str) -> bool:
    if not stored.startswith(_ARGON2ID):
        return bcrypt.checkpw(password.encode(), stored.encode())
    try:
        return _ARGON2.verify(stored, password)
    except VerifyMismatchError:
        return False


@cache
def _nobodys() -> str:
    """A hash like those of new passwords, which no password has: it is of 256 random bits."""
    return _digest(token_urlsafe(32))


def _weak(wrong: tuple[str, ...], pointer: str) -> WeakPassword:
    field = pointer.removeprefix("/")
    return WeakPassword(f"{field}: {'; '.join(wrong)}", tuple(FieldError(pointer, said) for said in wrong))

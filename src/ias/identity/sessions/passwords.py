"""Hashing passwords with bcrypt, two at a time and twenty waiting, so that a flood of logins slows nothing else."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import bcrypt
from zxcvbn import zxcvbn

from ias.identity.sessions.domain import faults, fits
from ias.problems import FieldError, Problem
from ias.settings import settings

WORKERS = 2
QUEUE = 20
MIN_SCORE = 3
"""zxcvbn's "safely unguessable": more than 10^8 guesses."""

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
    """The bcrypt hash of a new password; `hints` are words that it must not be made of.

    Raises:
        WeakPassword: it cannot be taken; `errors` says everything that is wrong with it.
        TooManyLogins: come back later.
    """
    wrong = faults(password)
    if wrong:
        raise _weak(wrong, pointer)
    wrong, digest = await _in_pool(lambda: _hash(password, hints, settings().bcrypt_cost))
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
    known = stored or _nobodys(settings().bcrypt_cost)
    same = await _in_pool(lambda: bcrypt.checkpw(password.encode(), known.encode()))
    return same and stored is not None


async def _in_pool(work: Callable[[], ResultT]) -> ResultT:
    if len(_PENDING) >= WORKERS + QUEUE:
        raise TooManyLogins("too many passwords are being checked; try again in a moment")
    ticket = object()
    _PENDING.add(ticket)
    try:
        return await asyncio.get_running_loop().run_in_executor(_POOL, work)
    finally:
        _PENDING.discard(ticket)


def _hash(password: str, hints: tuple[str, ...], cost: int) -> tuple[tuple[str, ...], str]:
    guessed = zxcvbn(password, user_inputs=list(hints))
    if guessed["score"] < MIN_SCORE:
        feedback = guessed["feedback"]
        return (f"is easily guessed: {' '.join((feedback['warning'], *feedback['suggestions'])).strip()}",), ""
    return (), bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def _nobodys(cost: int) -> str:
    """A well-formed hash that no password has."""
    return f"$2b${cost:02d}${'.' * 53}"


def _weak(wrong: tuple[str, ...], pointer: str) -> WeakPassword:
    field = pointer.removeprefix("/")
    return WeakPassword(f"{field}: {'; '.join(wrong)}", tuple(FieldError(pointer, said) for said in wrong))

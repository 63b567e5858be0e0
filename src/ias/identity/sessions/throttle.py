"""Slowing down whoever guesses passwords: attempts are counted in Redis, over all instances of the API.

An attempt counts before the password is looked at, so that a hundred at once count as a hundred; one that succeeds
takes its count away. An address that is guessed at from many places is slowed down as a whole, but only at a count
that nobody reaches by mistyping: else anybody could lock anybody out.
"""

import hashlib

from loguru import logger

from ias.edge import Edge, EdgeDown
from ias.identity.naming import MAX_ADDRESS, folded
from ias.problems import Problem

WINDOW_S = 900
PER_PLACE = 10
"""Attempts at one account from one address in a window."""
PER_ACCOUNT = 100
PER_CLIENT = 300
"""Attempts from one address at all accounts: an office may share one."""


class TooManyAttempts(Problem):
    """The password was tried too often."""

    status = 429
    title = "Too many attempts"


async def attempt(edge: Edge, email: str, client: str) -> None:
    """Count an attempt to log in.

    Raises:
        TooManyAttempts: there were too many; `retry_after_s` says when there may be another.
    """
    limits = _counters(email, client)
    try:
        counts = await edge.calls(
            [part for key in limits for part in (("INCR", key), ("EXPIRE", key, WINDOW_S, "NX"), ("TTL", key))]
        )
    except EdgeDown as error:
        # Hashing is bounded anyway; nobody shall be locked out because Redis is away.
        logger.warning("attempts to log in are not counted: {}", error)
        return
    waits = [
        int(str(counts[3 * place + 2]))
        for place, most in enumerate(limits.values())
        if int(str(counts[3 * place])) > most
    ]
    if waits:
        problem = TooManyAttempts("too many attempts to log in; wait, or ask an admin to reset the password")
        problem.retry_after_s = max(1, *waits)
        raise problem


async def succeeded(edge: Edge, email: str, client: str) -> None:
    """Take the count of an account away from the place that knows its password."""
    place, *others = _counters(email, client)
    try:
        await edge.calls([("DEL", place), *(("DECR", key) for key in others)])
    except EdgeDown as error:
        logger.warning("a successful login still counts as an attempt: {}", error)


def _counters(email: str, client: str) -> dict[str, int]:
    """The keys that count, with the most that each may count to."""
    account = folded(email.strip()[:MAX_ADDRESS])
    return {
        _key("place", f"{account}\0{client}"): PER_PLACE,
        _key("account", account): PER_ACCOUNT,
        _key("client", client): PER_CLIENT,
    }


def _key(kind: str, what: str) -> str:
    return f"ias:login:{kind}:{hashlib.sha256(what.encode()).hexdigest()[:32]}"

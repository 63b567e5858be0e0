"""Slowing down whoever guesses passwords: attempts are counted in Redis, over all instances of the API.

An attempt counts before the password is looked at, so that a hundred at once count as a hundred; one that succeeds
takes its count away. An address that is guessed at from many places is slowed down as a whole, but only at a count
that nobody reaches by mistyping: else anybody could lock anybody out. What is counted are attempts at one password: a
new one, such as an admin sets for somebody who was guessed at, counts anew.
"""

import hashlib
from ipaddress import IPv6Address, ip_address

import msgspec
from loguru import logger

from ias.contract.addresses import unwrapped
from ias.edge import Edge, EdgeDown
from ias.identity.naming import MAX_ADDRESS, folded
from ias.problems import Problem

WINDOW_S = 900
PER_PLACE = 10
"""Attempts at one account from one address in a window."""
PER_ACCOUNT = 100
PER_CLIENT = 300
"""Attempts from one address at all accounts: an office may share one."""

_AT_ACCOUNT = "too many attempts to log in; wait, or ask an admin to reset the password"
_FROM_HERE = "too many attempts to log in from this address; wait"
_HOST_BITS = 64
"""Of an IPv6 address: whoever has one such has all of them that begin alike."""


class TooManyAttempts(Problem):
    """The password was tried too often."""

    status = 429
    title = "Too many attempts"


class Guess(msgspec.Struct, frozen=True):
    """An attempt to log in.

    Attributes:
        client: the address that it comes from.
        stored: the hash of the password that is to be met; None where nobody has the account.
    """

    email: str
    client: str
    stored: str | None


async def attempt(edge: Edge, guess: Guess) -> None:
    """Count an attempt to log in.

    Raises:
        TooManyAttempts: there were too many; `retry_after_s` says when there may be another.
    """
    limits = _counters(guess)
    try:
        counts = await edge.calls(
            [part for key in limits for part in (("INCR", key), ("EXPIRE", key, WINDOW_S, "NX"), ("TTL", key))]
        )
    except EdgeDown as error:
        # Hashing is bounded anyway; nobody shall be locked out because Redis is away.
        logger.warning("attempts to log in are not counted: {}", error)
        return
    waits = {
        key: int(str(counts[3 * place + 2]))
        for place, (key, most) in enumerate(limits.items())
        if int(str(counts[3 * place])) > most
    }
    if waits:
        problem = TooManyAttempts(_FROM_HERE if list(waits) == list(limits)[-1:] else _AT_ACCOUNT)
        problem.retry_after_s = max(1, *waits.values())
        raise problem


async def succeeded(edge: Edge, guess: Guess) -> None:
    """Take the count of an account away from the place that knows its password."""
    place, *others = _counters(guess)
    try:
        await edge.calls([("DEL", place), *(("DECR", key) for key in others)])
    except EdgeDown as error:
        logger.warning("a successful login still counts as an attempt: {}", error)


def _counters(guess: Guess) -> dict[str, int]:
    """The keys that count, with the most that each may count to: at an account from a place, at it, and from there."""
    account = f"{folded(guess.email.strip()[:MAX_ADDRESS])}\0{guess.stored or ''}"
    place = _place(guess.client)
    return {
        _key("place", f"{account}\0{place}"): PER_PLACE,
        _key("account", account): PER_ACCOUNT,
        _key("client", place): PER_CLIENT,
    }


def _place(client: str) -> str:
    """Where somebody is: one IPv4 address however it is written, or a network of IPv6; what is no address as it is."""
    try:
        address = unwrapped(ip_address(client))
    except ValueError:
        return client
    return f"{int(address) >> _HOST_BITS:x}::" if isinstance(address, IPv6Address) else str(address)


def _key(kind: str, what: str) -> str:
    return f"ias:login:{kind}:{hashlib.sha256(what.encode()).hexdigest()[:32]}"

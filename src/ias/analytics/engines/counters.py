"""How counters of engines grow between two readings; they begin anew with their process."""

from typing import Final

import msgspec

from ias.contract.readings import Reading

GAP_S: Final = 60.0
"""Readings that are further apart than this leave a time that nobody watched; they should be ten seconds apart."""
_SAME_S: Final = 1.0
"""A process that began within a second of another is the same."""
_BESIDE_S: Final = 3600.0
"""A process that began so long before another was last read ran beside it, and does not follow it."""


class Growth(msgspec.Struct, frozen=True):
    """By how much the counters of a replica grew between two readings.

    Attributes:
        restarts: how often they began anew: 0 or 1.
        unseen: 1 where they did in a time that nobody watched.
        watched_s: seconds in between, where they are few enough, and the counters such, that nothing was missed.
    """

    prompt_tokens: int
    generation_tokens: int
    requests: int
    restarts: int
    unseen: int
    watched_s: float


def growth(last: Reading, now: Reading) -> Growth:
    """By how much counters grew. Those that began anew since have grown by what they show.

    Those of another process behind the same URL, or of one of whose engine cores some have gone, tell nothing of what
    was counted in between: they did not grow, and that time was not watched.
    """
    apart = now.at - last.at
    began_anew = _began_anew(last, now)
    other = _told(last, now) and not began_anew and abs(now.started_at - last.started_at) > _SAME_S
    base = now if other else Reading(last.url, last.at) if began_anew else last
    watched = apart <= GAP_S
    return Growth(
        prompt_tokens=max(now.prompt_tokens - base.prompt_tokens, 0),
        generation_tokens=max(now.generation_tokens - base.generation_tokens, 0),
        requests=max(now.requests - base.requests, 0),
        restarts=int(began_anew),
        unseen=int(began_anew and not watched),
        watched_s=apart if watched and not other and not _fell(base, now) else 0.0,
    )


def _began_anew(last: Reading, now: Reading) -> bool:
    """Whether the process is a later one; where it does not say when it began, counters that fell tell it."""
    if _told(last, now):
        return now.started_at > last.started_at + _SAME_S and now.started_at > last.at - _BESIDE_S
    return _fell(last, now)


def _told(last: Reading, now: Reading) -> bool:
    return last.started_at > 0 and now.started_at > 0


def _fell(last: Reading, now: Reading) -> bool:
    return (
        now.prompt_tokens < last.prompt_tokens
        or now.generation_tokens < last.generation_tokens
        or now.requests < last.requests
    )

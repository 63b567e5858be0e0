"""How counters of engines grow between two readings; they begin anew with their process."""

from typing import Final

import msgspec

from ias.contract.readings import Reading

GAP_S: Final = 60.0
"""Readings that are further apart than this leave a time that nobody watched; they should be ten seconds apart."""
_SAME_S: Final = 1.0
"""A process that began within a second of another is the same."""


class Growth(msgspec.Struct, frozen=True):
    """By how much the counters of a replica grew between two readings.

    Attributes:
        restarts: how often they began anew: 0 or 1.
        unseen: 1 where they did in a time that nobody watched.
        watched_s: seconds in between, where they are few enough for nothing to have been missed.
    """

    prompt_tokens: int
    generation_tokens: int
    requests: int
    restarts: int
    unseen: int
    watched_s: float


def growth(last: Reading, now: Reading) -> Growth:
    """By how much counters grew. Those that began anew since have grown by what they show."""
    apart = now.at - last.at
    began_anew = (
        now.prompt_tokens < last.prompt_tokens
        or now.generation_tokens < last.generation_tokens
        or now.requests < last.requests
        or (0 < last.started_at < now.started_at - _SAME_S)
    )
    base = Reading(last.url, last.at) if began_anew else last
    watched = apart <= GAP_S
    return Growth(
        prompt_tokens=now.prompt_tokens - base.prompt_tokens,
        generation_tokens=now.generation_tokens - base.generation_tokens,
        requests=now.requests - base.requests,
        restarts=int(began_anew),
        unseen=int(began_anew and not watched),
        watched_s=apart if watched else 0.0,
    )

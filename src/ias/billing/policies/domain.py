"""Budgets and rate limits, the platform's defaults for them, and how gateways are told.

A missing row is the default, never "none": none is said on purpose, null here and -1 in Redis.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec

from ias.contract.admission import Argument
from ias.problems import FieldError, Problem

MOST_TOKENS: Final = 2**53 - 1
"""Redis counts in doubles: integers are exact up to here."""

Tokens = Annotated[int, msgspec.Meta(ge=0, le=MOST_TOKENS)]
Rate = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
Mode = Literal["strict", "estimate"]
TokenRate = Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000_000)]
NONE: Final = -1
_FREE: Final = frozenset({"min_output_tokens", "max_output_tokens", "mode"})
"""What is no number that the platform sets a ceiling for."""


class AboveCeiling(Problem):
    """An organisation may lower what the platform gave it, not raise it."""

    status = 403
    title = "Above the platform's ceiling"


class BadLimits(Problem):
    """Limits that contradict each other."""

    title = "Bad limits"


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens a month (UTC). Of the organisation, and of each member who has no budget of their own; null is none."""

    monthly_tokens: Tokens | None = 1_000_000
    user_monthly_tokens: Tokens | None = None


class RateLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How fast and how many at once, of the organisation and of each member; null is none.

    Attributes:
        burst: requests that may come at once; at least `requests_per_second`.
        min_output_tokens: near the end of a budget the output limit is cut down to this, not further.
        max_output_tokens: output limit of a request that gives none, where it is less than the model's own.
        mode: what a request's prompt holds of the budget while it runs. `strict`: its upper bound, so that the budget
            is never passed. `estimate`: what prompts of its length usually are, so that more fit in at once; the budget
            may be passed, by what the estimates of requests under way have too little.
    """

    requests_per_second: Rate | None = 1_000
    burst: Rate = 2_000
    tokens_per_minute: TokenRate | None = 60_000_000
    concurrency: Rate | None = 2_000
    user_requests_per_second: Rate | None = 500
    user_burst: Rate = 1_000
    user_tokens_per_minute: TokenRate | None = 30_000_000
    user_concurrency: Rate | None = 1_000
    min_output_tokens: Rate = 16
    max_output_tokens: Rate | None = None
    mode: Mode = "strict"


DEFAULT_BUDGET: Final = Budget()
"""Of an organisation that nobody gave one: a million tokens a month, shared by its members as they come."""
DEFAULT_LIMITS: Final = RateLimits()
"""Of an organisation that nobody gave any: what one gateway can serve, so that a runaway loop still meets an end."""


def section(budget: Budget, members: Mapping[UUID, int | None], limits: RateLimits) -> dict[str, Argument]:
    """The projection's section `pol`. `members` are those with a budget of their own."""
    return {
        "tokens": _told(budget.monthly_tokens),
        "udef": _told(budget.user_monthly_tokens),
        "rps": _told(limits.requests_per_second),
        "burst": limits.burst,
        "tpm": _told(limits.tokens_per_minute),
        "conc": _told(limits.concurrency),
        "urps": _told(limits.user_requests_per_second),
        "uburst": limits.user_burst,
        "utpm": _told(limits.user_tokens_per_minute),
        "uconc": _told(limits.user_concurrency),
        "floor": limits.min_output_tokens,
        "cap": _told(limits.max_output_tokens),
        "estimate": int(limits.mode == "estimate"),
        **{f"u:{user_id}": _told(tokens) for user_id, tokens in members.items()},
    }


def check_limits(limits: RateLimits) -> RateLimits:
    """The limits, if they can be kept.

    Raises:
        BadLimits: a burst is less than what may come each second, or the output limits cross.
    """
    pairs = (
        ("burst", limits.burst, limits.requests_per_second),
        ("user_burst", limits.user_burst, limits.user_requests_per_second),
    )
    for name, burst, rate in pairs:
        if rate is not None and burst < rate:
            said = f"must be at least {name.replace('burst', 'requests_per_second')} ({rate})"
            raise BadLimits(f"{name} {said}", (FieldError(f"/{name}", said),))
    if limits.max_output_tokens is not None and limits.max_output_tokens < limits.min_output_tokens:
        said = "must be at least min_output_tokens"
        raise BadLimits(f"max_output_tokens {said}", (FieldError("/max_output_tokens", said),))
    return limits


def within(ceiling: int | None, asked: int | None) -> bool:
    """Whether a limit is not above a ceiling; None is no end."""
    return ceiling is None or (asked is not None and asked <= ceiling)


def check_ceiling(ceiling: RateLimits, asked: RateLimits) -> None:
    """Nothing, if no limit is above its ceiling.

    Raises:
        AboveCeiling: names those that are.
    """
    most, wanted = msgspec.structs.asdict(ceiling), msgspec.structs.asdict(asked)
    above = [name for name in wanted if name not in _FREE and not within(most[name], wanted[name])]
    if asked.mode == "estimate" and ceiling.mode == "strict":
        above.append("mode")
    if above:
        faults = tuple(FieldError(f"/{name}", f"may be {most[name]} at most") for name in above)
        raise AboveCeiling("; ".join(f"{name} may be {most[name]} at most" for name in above), faults)


def moved_ceiling(ceiling: RateLimits, before: RateLimits, asked: RateLimits) -> RateLimits:
    """The ceiling once the platform asks for these limits: what it leaves as it is in force stays given as it was."""
    was = msgspec.structs.asdict(before)
    changed = {name: value for name, value in msgspec.structs.asdict(asked).items() if value != was[name]}
    return msgspec.structs.replace(ceiling, **changed)


def moved_models(
    ceiling: Collection[UUID] | None,
    before: Collection[UUID] | None,
    asked: Collection[UUID] | None,
    every: Collection[UUID],
) -> list[UUID] | None:
    """The same of models, None being every one, of `every` that there is: what is added is given, what is struck taken.

    What the organisation did not choose itself stays given.
    """
    if asked is None or (ceiling is None and before is not None and set(before) <= set(asked)):
        return None
    struck = set(every if before is None else before) - set(asked)
    return sorted((set(every if ceiling is None else ceiling) - struck) | set(asked))


def _told(limit: int | None) -> int:
    return NONE if limit is None else limit

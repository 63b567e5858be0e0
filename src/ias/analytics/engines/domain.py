"""What engines count themselves held against usage, and what a difference may come from."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Final

import msgspec

from ias.contract.usage import Outcome

_DAY_S: Final = 86_400.0
_WHOLE: Final = 0.99
"""From so large a share of a day on, it counts as watched."""
EARLY: Final = (
    Outcome.CLIENT_ABORTED,
    Outcome.UPSTREAM_FAILED,
    Outcome.UPSTREAM_TIMEOUT,
    Outcome.CUT,
    Outcome.DRAINED,
    Outcome.GATEWAY_LOST,
)
"""What ended before its engine had told how many tokens it took."""


class Cause(StrEnum):
    """Where a difference may come from."""

    NOT_READ = "not_read"
    NOT_WATCHED = "not_watched"
    RESTARTED = "engine_restarted"
    RESTARTED_UNSEEN = "engine_restarted_unseen"
    ENDED_EARLY = "ended_early"
    ACROSS_MIDNIGHT = "across_midnight"
    UNDER_WAY = "under_way"
    PAST_THE_GATEWAY = "past_the_gateway"
    UNEXPLAINED = "unexplained"


class Reason(msgspec.Struct, frozen=True):
    """A cause that there was on that day, how many requests it is about where that is known, and it in a sentence."""

    cause: Cause
    requests: int | None
    said: str


class Ours(msgspec.Struct):
    """What we know of a model's day. `early` ended before their engine told tokens; the others went over midnight."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    early: int = 0
    came_in: int = 0
    went_out: int = 0

    def add(self, other: "Ours") -> None:
        """Add another model's."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


class Theirs(msgspec.Struct, frozen=True):
    """What a replica counted on a day, and for which models."""

    models: tuple[str, ...]
    prompt_tokens: int
    generation_tokens: int
    requests: int
    restarts: int
    unseen: int
    watched_s: float


class Reconciled(msgspec.Struct, kw_only=True):
    """A day (UTC) of a model, or of models that share replicas and cannot be told apart by these.

    Differences are the engines' less ours; the engines' figures are null where nobody read them on that day.

    Attributes:
        models: public names.
        replicas: of how many engines the counters were read.
        watched_share: of the day so far, through how much of it they were, 0 to 1.
        restarts: how often an engine's counters began anew.
        agrees: whether both differences are 0; null where that is not known.
        reasons: where a difference may come from.
    """

    day: date
    models: list[str]
    requests: int
    prompt_tokens: int
    completion_tokens: int
    engine_requests: int | None
    engine_prompt_tokens: int | None
    engine_completion_tokens: int | None
    prompt_difference: int | None
    completion_difference: int | None
    replicas: int
    restarts: int
    watched_share: float
    agrees: bool | None
    reasons: list[Reason]


class Reconciliation(msgspec.Struct, kw_only=True):
    """Days from `start` to before `end`, the newest first. `read_at` is when an engine was last read."""

    start: datetime
    end: datetime
    items: list[Reconciled]
    read_at: datetime | None
    data_as_of: datetime | None


def reconciled(day: date, ours: Mapping[str, Ours], theirs: Iterable[Theirs], now: datetime) -> list[Reconciled]:
    """A day: an item for each model, or for models that share replicas."""
    replicas = list(theirs)
    items = []
    for models in _together(ours, replicas):
        sums = Ours()
        for model in models:
            sums.add(ours.get(model, Ours()))
        items.append(_item(day, models, sums, [each for each in replicas if each.models[0] in models], now))
    return items


def _together(ours: Iterable[str], replicas: Iterable[Theirs]) -> list[list[str]]:
    """Models that share a replica, directly or by others, in one list."""
    groups: list[set[str]] = [{model} for model in ours]
    for replica in replicas:
        names = set(replica.models)
        touched = [group for group in groups if group & names]
        groups = [group for group in groups if not group & names] + [names.union(*touched)]
    return sorted(sorted(group) for group in groups)


def _item(day: date, models: list[str], ours: Ours, replicas: Sequence[Theirs], now: datetime) -> Reconciled:
    read = bool(replicas)
    prompt, completion, requests = (
        sum(getattr(each, name) for each in replicas) if read else None
        for name in ("prompt_tokens", "generation_tokens", "requests")
    )
    differences = None if prompt is None else prompt - ours.prompt_tokens
    completions = None if completion is None else completion - ours.completion_tokens
    passed = _passed_s(day, now)
    item = Reconciled(
        day=day,
        models=models,
        requests=ours.requests,
        prompt_tokens=ours.prompt_tokens,
        completion_tokens=ours.completion_tokens,
        engine_requests=requests,
        engine_prompt_tokens=prompt,
        engine_completion_tokens=completion,
        prompt_difference=differences,
        completion_difference=completions,
        replicas=len(replicas),
        restarts=sum(each.restarts for each in replicas),
        watched_share=round(min([1.0, *(each.watched_s / passed for each in replicas)]), 4) if read else 0.0,
        agrees=(differences, completions) == (0, 0) if read else None,
        reasons=[],
    )
    item.reasons = _reasons(item, ours, sum(each.unseen for each in replicas), over=passed >= _DAY_S)
    return item


def _passed_s(day: date, now: datetime) -> float:
    """Seconds of the day that have passed, at least one."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=now.tzinfo)
    return min(max((now - midnight).total_seconds(), 1.0), _DAY_S)


def _reasons(item: Reconciled, ours: Ours, unseen: int, *, over: bool) -> list[Reason]:
    if item.agrees:
        return []
    if item.agrees is None:
        said = "no engine of it was read on that day: no gateway or worker ran, or no replica was registered"
        return [Reason(Cause.NOT_READ, None, said)]
    more = (item.engine_requests or 0) - ours.requests - ours.came_in
    there: dict[Cause, tuple[bool, int | None, str]] = {
        Cause.NOT_WATCHED: (
            item.watched_share < _WHOLE,
            None,
            (
                f"engines were read through {item.watched_share:.0%} of the day: what they counted before they were "
                "first read is nowhere, what they counted in a gap is with the day on which they were read again"
            ),
        ),
        Cause.RESTARTED: (
            item.restarts > unseen,
            None,
            f"counters began anew {item.restarts - unseen} times: what was counted in the seconds before is lost",
        ),
        Cause.RESTARTED_UNSEEN: (
            unseen > 0,
            None,
            f"counters began anew {unseen} times while nobody read them: what was counted before that is lost",
        ),
        Cause.ENDED_EARLY: (
            ours.early > 0,
            ours.early,
            (
                f"{ours.early} requests were aborted, cut, lost or failed: an engine counts what it computed, "
                "the ledger what was delivered"
            ),
        ),
        Cause.ACROSS_MIDNIGHT: (
            ours.came_in + ours.went_out > 0,
            ours.came_in + ours.went_out,
            (
                f"{ours.came_in} requests of the day before ended on it and {ours.went_out} of its own on the day "
                "after: the ledger counts them where they began, an engine when it computes"
            ),
        ),
        Cause.UNDER_WAY: (not over, None, "the day is not over: requests under way are not in our figures yet"),
        Cause.PAST_THE_GATEWAY: (
            more > 0,
            more,
            (
                f"engines ended {more} requests more than we know of: called past the gateway, trials of a model, or "
                "requests with several choices, each of which an engine counts with its prompt"
            ),
        ),
    }
    found = [Reason(cause, requests, said) for cause, (holds, requests, said) in there.items() if holds]
    said = "nothing that we know explains it: compare the day's ledger lines with the engines' logs"
    return found or [Reason(Cause.UNEXPLAINED, None, said)]

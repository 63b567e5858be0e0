"""Whether an event can be recorded at all, and what tells its body from another: the same for all who record usage."""

import hashlib
import re
from datetime import UTC, datetime
from functools import lru_cache

import msgspec

from ias.contract.usage import UsageRecorded

MOST_TOKENS = 2**53 - 1
FIRST = datetime(2020, 1, 1, tzinfo=UTC)
"""No request started before."""

_PERIOD = re.compile(r"20[0-9]{2}(0[1-9]|1[0-2])")
_encode = msgspec.json.Encoder().encode


def fault_in(event: UsageRecorded) -> str | None:
    """Why an event cannot be recorded, None where it can."""
    prompt, completion, cached = event.prompt_tokens, event.completion_tokens, event.cached_tokens
    if (
        event.line == 1
        and 0 <= cached <= prompt <= MOST_TOKENS
        and 0 <= completion <= MOST_TOKENS
        and is_month(event.period)
        and event.started_at >= FIRST
        and not _has_nul(event.model, event.endpoint, event.gateway, event.replica)
    ):
        return None
    return _why_not(event)


def fingerprint(event: UsageRecorded) -> bytes:
    """SHA-256 of the event in its one spelling: the same request and line must always have the same.

    Its times are left out: they are Redis's, and other ones where it lost a settlement that a gateway sent again. So is
    what it belongs to as a trace, which nobody keeps.
    """
    timeless = msgspec.structs.replace(event, started_at=FIRST, settled_at=FIRST, traceparent="")
    return hashlib.sha256(_encode(timeless)).digest()


@lru_cache(maxsize=100)
def is_month(period: str) -> bool:
    """Whether this is YYYYMM."""
    return _PERIOD.fullmatch(period) is not None


def _why_not(event: UsageRecorded) -> str | None:
    tokens = (event.prompt_tokens, event.completion_tokens, event.cached_tokens)
    faults = (
        (event.line < 1, "line numbers begin with 1"),
        (not is_month(event.period), "period is not a month, YYYYMM"),
        (event.line == 1 and min(tokens) < 0, "line 1 has negative tokens"),
        (max(map(abs, tokens)) > MOST_TOKENS, "more tokens than can be counted"),
        (event.line == 1 and event.cached_tokens > event.prompt_tokens, "more cached tokens than prompt tokens"),
        (event.started_at < FIRST, "started before there was anything to start"),
        (_has_nul(event.model, event.endpoint, event.gateway, event.replica), "text with a NUL character"),
    )
    return next((said for wrong, said in faults if wrong), None)


@lru_cache(maxsize=10_000)
def _has_nul(*texts: str) -> bool:
    return any("\0" in text for text in texts)

"""Whether what a client saw is explained: by the plan, by a limit, by what was done to the product just then."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tests.soak.mix import Fault, Kind, Plan, Tenant
from tests.soak.seen import End, Seen

OK = "answered in full"
SHED = "shed: 503 with retry-after"


class Harm(StrEnum):
    """What is done to the product, and shows."""

    REPLICA_KILLED = "a replica was killed"
    GATEWAY_WORKER_KILLED = "a gateway worker was killed"
    GATEWAY_RESTARTED = "the gateway was drained and started again"


@dataclass(frozen=True)
class Window:
    """When it was done: requests that are under way at any time of it may have felt it."""

    harm: Harm
    begins: float
    ends: float

    def touches(self, seen: Seen) -> bool:
        return seen.began <= self.ends and self.begins <= seen.ended


_BROKEN = frozenset((End.CUT, End.DROPPED))
_FAULTS: dict[Fault, tuple[int, str]] = {
    Fault.DIE: (502, "upstream_error"),
    Fault.HANG: (504, "upstream_timeout"),
    Fault.REFUSE: (503, "server_overloaded"),
    Fault.ERROR_CHUNK: (502, "upstream_error"),
}
"""What a client is told: as the answer, or, of a stream that had begun, as its last event."""


def judge(plan: Plan, seen: Seen, windows: Sequence[Window]) -> str | None:
    """Why it went as it did; None where nothing explains it."""
    if seen.end is End.GIVEN_UP:
        return "given up by the client" if plan.give_up_after is not None else None
    return _planned(plan, seen) or _limited(plan, seen) or _harmed(seen, windows) or _shed(seen)


def _planned(plan: Plan, seen: Seen) -> str | None:
    if plan.expects is not None:
        status, code = plan.expects
        right = seen.status == status and seen.end is End.WHOLE and code in {None, seen.code}
        return "refused: the client's own error" if right else None
    if plan.fault is not None:
        status, code = _FAULTS[plan.fault]
        told = seen.end is End.ERROR or (seen.end is End.WHOLE and seen.status == status)
        return f"fault: {plan.fault}" if told and seen.code == code else None
    if seen.status != 200 or seen.end is not End.WHOLE:
        return None
    if seen.tokens == plan.tokens or not (plan.usage or plan.kind is Kind.UNARY):
        return OK
    # Near the end of a budget an answer may be no longer than what is left.
    cut_short = plan.tenant is Tenant.POOR and seen.tokens is not None and seen.tokens < plan.tokens
    return "answered as far as the budget went" if cut_short else None


def _limited(plan: Plan, seen: Seen) -> str | None:
    if seen.status != 429 or not seen.retry_after:
        return None
    if plan.tenant is Tenant.TIGHT and seen.code == "rate_limit_exceeded":
        return "limited: rate"
    spent = plan.tenant is Tenant.POOR and seen.code == "insufficient_quota" and seen.told_once
    return "limited: budget" if spent else None


def _harmed(seen: Seen, windows: Sequence[Window]) -> str | None:
    for window in windows:
        if window.touches(seen) and _fits(window.harm, seen):
            return f"harm: {window.harm}"
    return None


def _fits(harm: Harm, seen: Seen) -> bool:
    match harm:
        case Harm.REPLICA_KILLED:
            return seen.code in {"upstream_error", "server_overloaded"}
        case Harm.GATEWAY_WORKER_KILLED:
            # The other worker listens all the time.
            return seen.end in _BROKEN
        case Harm.GATEWAY_RESTARTED:
            return seen.end in {*_BROKEN, End.UNREACHABLE} or seen.code == "server_restarting"


def _shed(seen: Seen) -> str | None:
    return SHED if seen.status == 503 and seen.code == "server_overloaded" and seen.retry_after else None

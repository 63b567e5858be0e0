"""What a policy would have refused of the requests that there were: the ledger, replayed against it, purely.

It knows of requests what the ledger knows: whose, of which model, when, and their tokens at the end. What a request
held while it ran, and how many ran at once, it does not know; near a budget's end gateways refuse a little more.
"""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec
from msgspec import UNSET

from ias.billing.values import RateLimits, Request
from ias.gitops.documents.domain import Document
from ias.gitops.plans.blocking import limits_of
from ias.gitops.plans.domain import InForce, limits_after


class Reason(StrEnum):
    """Why a request would have been refused."""

    MEMBERSHIP = "membership"
    MODEL = "model"
    RATE = "rate"
    USER_RATE = "user-rate"
    BUDGET = "budget"
    USER_BUDGET = "user-budget"


class Refusals(msgspec.Struct, kw_only=True):
    """How many requests of somebody would have been refused, by reason; `email` is empty of who is not here now."""

    user_id: UUID
    email: str
    requests: int
    refused: int
    reasons: dict[Reason, int]


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `since` is when the first of the requests may have started."""

    since: datetime
    requests: int
    refused: int
    users: list[Refusals]


class Bucket(msgspec.Struct):
    """A rate with a burst, as gateways keep it: the moment when the next request would be on time (GCRA)."""

    rate: int | None
    burst: int
    due: float = 0.0

    def takes(self, at: float) -> bool:
        """Whether a request at this moment (Unix seconds) fits in."""
        return self.rate is None or max(self.due, at) - at <= (self.burst - 1) / self.rate + 1e-9

    def took(self, at: float) -> None:
        """It was let in."""
        if self.rate is not None:
            self.due = max(self.due, at) + 1 / self.rate


class Replay:
    """Requests in their order, each let in or refused by a policy."""

    def __init__(self, wanted: Document, now: InForce, since: datetime) -> None:
        self._since = since
        self._limits = limits_after(wanted, now.terms)
        self._members = limits_of(wanted, now)
        self._emails = {person.id: person.email for person in now.roster.people.values()}
        self._whole = now.terms.budget.monthly_tokens
        if wanted.spec.budgets is not UNSET and wanted.spec.budgets.monthly_tokens is not UNSET:
            self._whole = wanted.spec.budgets.monthly_tokens
        said = wanted.spec.allowed_models
        self._models = now.terms.models if said is UNSET else said
        self._used: dict[tuple[str, UUID | None], int] = {}
        self._bucket = _bucket(self._limits)
        self._buckets: dict[UUID, Bucket] = {}
        self._found: dict[UUID, Refusals] = {}

    def take(self, request: Request) -> None:
        """The next request; of those from before the beginning only the tokens count."""
        counted = request.started_at >= self._since
        reason = self._why(request) if counted else None
        if counted:
            self._tell(request, reason)
        if reason is None:
            for whose in (None, request.user_id):
                place = (request.period, whose)
                self._used[place] = self._used.get(place, 0) + request.tokens

    def answer(self) -> Replayed:
        """What came of all of them; who was refused most comes first."""
        users = sorted(self._found.values(), key=lambda each: (-each.refused, each.email))
        requests, refused = sum(each.requests for each in users), sum(each.refused for each in users)
        return Replayed(since=self._since, requests=requests, refused=refused, users=users)

    def _why(self, request: Request) -> Reason | None:
        user_id, moment = request.user_id, request.started_at.timestamp()
        if user_id not in self._members:
            return Reason.MEMBERSHIP
        if self._models is not None and request.model not in self._models:
            return Reason.MODEL
        own = self._buckets.setdefault(user_id, _bucket(self._limits, own=True))
        for bucket, reason in ((self._bucket, Reason.RATE), (own, Reason.USER_RATE)):
            if not bucket.takes(moment):
                return reason
        self._bucket.took(moment)
        own.took(moment)
        return self._out_of_budget(request)

    def _out_of_budget(self, request: Request) -> Reason | None:
        budgets = (
            (None, self._whole, Reason.BUDGET),
            (request.user_id, self._members[request.user_id], Reason.USER_BUDGET),
        )
        for whose, limit, reason in budgets:
            if limit is not None and self._used.get((request.period, whose), 0) + request.tokens > limit:
                return reason
        return None

    def _tell(self, request: Request, reason: Reason | None) -> None:
        user_id = request.user_id
        fresh = Refusals(user_id=user_id, email=self._emails.get(user_id, ""), requests=0, refused=0, reasons={})
        told = self._found.setdefault(user_id, fresh)
        told.requests += 1
        if reason is not None:
            told.refused += 1
            told.reasons[reason] = told.reasons.get(reason, 0) + 1


def periods(since: datetime, until: datetime) -> tuple[str, ...]:
    """The months, YYYYMM (UTC), of requests from a moment to another."""
    months, month = [], since.replace(day=1)
    while month <= until:
        months.append(f"{month:%Y%m}")
        month = month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)
    return tuple(months)


def _bucket(limits: RateLimits, *, own: bool = False) -> Bucket:
    if own:
        return Bucket(limits.user_requests_per_second, limits.user_burst)
    return Bucket(limits.requests_per_second, limits.burst)

"""The minute check: Redis's counts and analytics' totals against the ledger, what is held against what is live."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from loguru import logger

from ias.billing.check import actions, queries
from ias.billing.check.actions import ANALYTICS, FOUND, HELD, USED, BegunAnew, Drifts
from ias.billing.check.domain import Fields, Months, counted, differences, lasting, size, together
from ias.billing.check.queries import Books, Check, Other
from ias.contract import books
from ias.contract.books import Month
from ias.contract.key_records import of_key
from ias.edge import Edge
from ias.identity import Tenant, everyone
from ias.telemetry import now

TOGETHER = 100
"""Organisations that are looked at in one snapshot."""
ALL_MONTHS = ""
REST = 2
"""Times as long as the last check took is rested at least: over a long backlog it leaves the worker to its work."""


class Pass(msgspec.Struct, kw_only=True):
    """One check: what it goes by, and what it has found so far.

    Attributes:
        aside: what is set aside, by the owner's id or tag.
        before: the differences of use that the last check found.
        use: those of this one that stay; `wrong` counts also those that were repaired.
        held: how much was held wrongly, by organisation.
    """

    aside: Mapping[str, Months]
    before: Drifts
    comparing: bool
    use: Drifts = {}
    wrong: dict[UUID, int] = {}
    analytics: Drifts = {}
    held: dict[UUID, int] = {}
    ledger_oldest: datetime | None = None
    other_oldest: datetime | None = None


async def check(edge: Edge, other: Other, every_s: float, compare_every_s: float) -> float:
    """Check, where the last time is long enough ago. Answers how many seconds to rest.

    To be called while nobody deletes from the outboxes.

    Raises:
        EdgeDown: Redis does not answer; come back later.
        DatabaseDown: PostgreSQL does not.
    """
    last = await queries.checks()
    rest = _due_in(last.get(USED), every_s)
    if rest > 0:
        return rest
    began, known = time.monotonic(), await everyone()
    here = set(await edge.reachable([org.tag for org in known]))
    orgs = [org for org in known if org.tag in here]
    comparing = _due_in(last.get(ANALYTICS), compare_every_s) <= 0
    this = Pass(aside=await queries.aside(), before=await queries.drifts(USED), comparing=comparing)
    for some in _chunks(orgs):
        await _compare(edge, some, other, this)
        await _recount(edge, some, this)
    await _note(this, len(orgs), time.monotonic() - began)
    return every_s


def _due_in(last: Check | None, every_s: float) -> float:
    if last is None or not every_s:
        return 0.0
    return max(every_s, REST * last.took_s) - (now() - last.checked_at).total_seconds()


async def _compare(edge: Edge, orgs: Sequence[Tenant], other: Other, this: Pass) -> None:
    reading = await queries.read(edge, orgs, other, totals=this.comparing)
    this.ledger_oldest = _earlier(this.ledger_oldest, reading.ledger_oldest)
    this.other_oldest = _earlier(this.other_oldest, reading.other_oldest)
    for one in reading.books:
        if one.counted.complete:
            await _check_use(edge, one, this)
        _check_totals(one, this)


async def _check_use(edge: Edge, of: Books, this: Pass) -> None:
    """What differs is noted; where it is the same as the last time, it is repaired."""
    this_month, last_month = of.counted.months
    for month in (this_month, last_month) if last_month.counted else (this_month,):
        aside = together(*(this.aside.get(owner, {}).get(month.period, {}) for owner in (str(of.org.id), of.org.tag)))
        should = of.should.get(month.period, {})
        # A key that was capped first this month has not been counted in the last one.
        caps = of.caps if month is this_month else {key for key in of.caps if of_key(key) in month.counted}
        wrong = differences(*(counted(fields, caps) for fields in (month.counted, should, aside)))
        if not wrong:
            continue
        place = (of.org.id, month.period)
        this.wrong[of.org.id] = this.wrong.get(of.org.id, 0) + size(wrong)
        again = lasting(wrong, this.before.get(place, {}))
        FOUND.labels(USED).inc(
            size({field: wrong[field] for field in wrong.keys() - this.before.get(place, {}).keys()})
        )
        if again and await _repaired(edge, of.org, month, again):
            wrong = {field: wrong[field] for field in wrong.keys() - again.keys()}
        if wrong:
            this.use[place] = wrong


async def _repaired(edge: Edge, org: Tenant, month: Month, wrong: Fields) -> bool:
    try:
        await actions.repair(edge, org, month, wrong)
    except BegunAnew as error:
        logger.info("not repaired: {}", error)
        return False
    return True


def _check_totals(of: Books, this: Pass) -> None:
    if of.ledger is None or of.other is None or of.ledger == of.other:
        return
    gap = {"requests": of.ledger.requests - of.other.requests, "tokens": of.ledger.tokens - of.other.tokens}
    this.analytics[of.org.id, ALL_MONTHS] = {account: number for account, number in gap.items() if number}


async def _recount(edge: Edge, orgs: Sequence[Tenant], this: Pass) -> None:
    replies = await edge.calls([books.recount(org.tag) for org in orgs])
    for org, reply in zip(orgs, replies, strict=True):
        corrections = books.read_recount(reply)
        if corrections:
            await actions.tell_recounted(org, corrections)
            this.held[org.id] = actions.extent(corrections)


async def _note(this: Pass, organisations: int, took_s: float) -> None:
    """Keep the outcome; the check of use last, for by its time the next one is due."""
    moment = now()

    def outcome(kind: str, wrong: Mapping[UUID, int], oldest: datetime | None) -> Check:
        return Check(
            kind=kind,
            checked_at=moment,
            took_s=took_s,
            organisations=organisations,
            drifting=len(wrong),
            tokens=sum(wrong.values()),
            oldest_open=oldest,
        )

    if this.comparing:
        gaps = {org: abs(gap.get("tokens", 0)) for (org, _), gap in this.analytics.items()}
        await actions.note(outcome(ANALYTICS, gaps, this.other_oldest), this.analytics)
    else:
        await actions.note_open(ANALYTICS, this.other_oldest)
    await actions.note(outcome(HELD, this.held, None), {})
    await actions.note(outcome(USED, this.wrong, this.ledger_oldest), this.use)


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(filter(None, (one, other)), default=None)


def _chunks(orgs: Sequence[Tenant]) -> Iterator[Sequence[Tenant]]:
    return (orgs[start : start + TOGETHER] for start in range(0, len(orgs), TOGETHER))

"""How organisations stand in Redis: projections, outboxes, reservations; one call for each, in one pass."""

from collections.abc import Sequence

from ias.billing import doors as billing
from ias.contract import books
from ias.contract.books import Vitals
from ias.edge import Edge
from ias.identity import everyone, names, tenants
from ias.vitals.findings import Figure, Finding, judged, listed, well, wrong

TOGETHER = 500
LATE_S = 60.0
"""Beyond, what should take seconds is stuck."""
SWEPT_S = 20.0
"""Lapsed leases are settled each five seconds."""


async def look(edge: Edge) -> list[Finding]:
    """What is found in Redis of all organisations.

    Raises:
        EdgeDown: Redis does not answer.
        DatabaseDown: PostgreSQL does not, so that nobody knows the organisations.
    """
    orgs = await everyone()
    standing = await _standing(edge, [org.tag for org in orgs])
    incomplete = [
        org.id for org in await tenants() if (stands := standing.get(org.tag)) is not None and not stands.complete
    ]
    called = await names(incomplete)
    all_of_them = list(standing.values())
    return [
        await _whole(edge),
        _complete(sorted(called.values())),
        _outbox(all_of_them),
        _relay(all_of_them),
        *_reservations(all_of_them),
        _gateways(all_of_them),
    ]


async def _standing(edge: Edge, tags: Sequence[str]) -> dict[str, Vitals]:
    """By tag; what lies on a shard that is away is not there, and the shard is found to be away by others."""
    here = await edge.reachable(tags)
    found: dict[str, Vitals] = {}
    for start in range(0, len(here), TOGETHER):
        some = here[start : start + TOGETHER]
        answers = await edge.tries([books.vitals(tag, billing.GROUP) for tag in some])
        known = ((tag, answer) for tag, answer in zip(some, answers, strict=True) if not isinstance(answer, Exception))
        found |= {tag: books.read_vitals(answer) for tag, answer in known}
    return found


async def _whole(edge: Edge) -> Finding:
    whole = await edge.whole()
    said = (
        "every organisation was projected" if whole else "Redis was emptied and not every organisation projected since"
    )
    remedy = "a worker does it by itself within seconds; else run `ias projection rebuild`"
    return judged(whole, wrong("projection", "whole", said, remedy, Figure("ias_projection_whole", whole)))


def _complete(missing: list[str]) -> Finding:
    said = (
        f"{len(missing)} organisations are not complete: {listed(missing)}" if missing else "complete for all of them"
    )
    remedy = "run `ias projection rebuild`; until then gateways answer 503 to them"
    figure = Figure("ias_projection_incomplete", len(missing))
    return judged(not missing, wrong("projection", "organisations", said, remedy, figure))


def _outbox(standing: list[Vitals]) -> Finding:
    entries = sum(stands.outbox for stands in standing)
    oldest_s = max((_age_s(stands, stands.oldest_s) for stands in standing), default=0.0)
    said = f"{entries} settlements wait in Redis, the oldest for {oldest_s:.0f} s"
    remedy = "see the lines below for the stage that is stuck; nothing is lost while Redis has memory"
    figures = (Figure("ias_outbox_entries", entries), Figure("ias_outbox_oldest_seconds", oldest_s))
    return judged(oldest_s <= LATE_S, wrong("outbox", "age", said, remedy, *figures))


def _relay(standing: list[Vitals]) -> Finding:
    lag_s = max((_age_s(stands, stands.unrelayed_s) for stands in standing), default=0.0)
    said = f"the oldest settlement that was not handed on is {lag_s:.0f} s old"
    remedy = "see that a worker runs and RabbitMQ takes messages; the worker's log says what its relay waits for"
    return judged(lag_s <= LATE_S, wrong("relay", "lag", said, remedy, Figure("ias_relay_lag_seconds", lag_s)))


def _reservations(standing: list[Vitals]) -> list[Finding]:
    live, lapsed = sum(stands.live for stands in standing), sum(stands.lapsed for stands in standing)
    lag_s = max((_age_s(stands, stands.lapsed_s) for stands in standing), default=0.0)
    said = f"{live} requests hold tokens, the leases of {lapsed} have lapsed"
    remedy = "see that a worker runs: it settles them from their last checkpoint, five seconds after"
    figures = (
        Figure("ias_reservations_live", live),
        Figure("ias_reservations_lapsed", lapsed),
        Figure("ias_sweep_lag_seconds", lag_s),
    )
    return [judged(lag_s <= SWEPT_S, wrong("sweeper", "lapsed leases", said, remedy, *figures))]


def _gateways(standing: list[Vitals]) -> Finding:
    """Who holds leases, which each tick renews; a gateway that serves nobody holds none."""
    left: dict[str, float] = {}
    for stands in standing:
        if stands.gateway and stands.lease_s is not None:
            left[stands.gateway] = max(left.get(stands.gateway, -LATE_S), stands.lease_s - stands.now_s)
    told = [f"{name} (lease: {seconds:.0f} s left)" for name, seconds in sorted(left.items())]
    figures = (Figure("ias_gateway_lease_seconds", seconds, name) for name, seconds in left.items())
    return well("gateways", "leases", listed(told) or "no gateway holds a lease just now", *figures)


def _age_s(stands: Vitals, at_s: float | None) -> float:
    return 0.0 if at_s is None else max(0.0, stands.now_s - at_s)

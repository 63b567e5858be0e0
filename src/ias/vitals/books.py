"""How the books are: what the last check found, what is set aside, which changes are still owed to Redis."""

from datetime import datetime

from ias.analytics import doors as analytics
from ias.billing import doors as billing
from ias.billing.doors import Check
from ias.identity import debts, names
from ias.quarantine import Quarantine
from ias.settings import settings
from ias.telemetry import now
from ias.vitals.findings import Figure, Finding, judged, listed, wrong

LATE_S = 60.0
MISSED = 3
"""So many checks that did not come say that nobody checks."""
NEVER = float("nan")

_KINDS = {
    "used": ("ledger", "what Redis counts as used", "a difference that stays is repaired at the second check"),
    "held": (
        "reservations",
        "what Redis holds",
        "it is right again; if it comes back, there is a fault in the library",
    ),
    "analytics": ("analytics", "analytics' totals", "run `ias usage replay --all`: it lacks what is set aside"),
}
_QUARANTINES: dict[str, Quarantine] = {"ledger": billing.QUARANTINE, "usage": analytics.QUARANTINE}


async def look() -> list[Finding]:
    """What PostgreSQL knows.

    Raises:
        DatabaseDown: it does not answer.
    """
    checks = await billing.checks()
    used, other = checks.get("used"), checks.get("analytics")
    return [
        _lag("ledger", used, used),
        _lag("usage", used, other),
        _age(used),
        *[await _drift(kind, checks[kind]) for kind in _KINDS if kind in checks],
        *[await _set_aside(name, box) for name, box in _QUARANTINES.items()],
        _debts("organisations", len(await debts())),
        _debts("models", len(await billing.route_debts())),
    ]


def _lag(consumer: str, used: Check | None, check: Check | None) -> Finding:
    oldest = None if check is None else check.oldest_open
    lag_s = 0.0 if used is None or oldest is None else max(0.0, (used.checked_at - oldest).total_seconds())
    said = f"the oldest settlement that it had not at the last check was {lag_s:.0f} s old"
    remedy = "see that a worker runs, RabbitMQ delivers and PostgreSQL takes rows; nothing is lost meanwhile"
    figure = Figure("ias_consumer_lag_seconds", lag_s, consumer)
    return judged(lag_s <= LATE_S, wrong(f"consumer {consumer}", "lag", said, remedy, figure))


def _age(used: Check | None) -> Finding:
    remedy = "start a worker: it compares Redis with the ledger each minute"
    if used is None:
        return wrong("check", "age", "never checked", remedy, Figure("ias_check_age_seconds", NEVER))
    age_s = (now() - used.checked_at).total_seconds()
    said = f"{used.organisations} organisations, {age_s:.0f} s ago, in {used.took_s:.1f} s"
    finding = wrong("check", "age", said, remedy, Figure("ias_check_age_seconds", age_s))
    return judged(age_s <= MISSED * settings().check_every_s + used.took_s, finding)


async def _drift(kind: str, check: Check) -> Finding:
    subject, what, remedy = _KINDS[kind]
    said = f"{what} was right at {_time(check.checked_at)}"
    if check.drifting:
        who = await names({org for org, _ in await billing.drifts(kind)})
        whose = f": {listed(sorted(who.values()))}" if who else ""
        said = f"{what} was wrong by {check.tokens} tokens in {check.drifting} organisations{whose}"
    figures = (
        Figure("ias_check_drift_tokens", check.tokens, kind),
        Figure("ias_check_drifting", check.drifting, kind),
    )
    return judged(not check.drifting, wrong(subject, "drift", said, remedy, *figures))


async def _set_aside(consumer: str, box: Quarantine) -> Finding:
    aside = await box.open()
    since = "" if aside.oldest is None else f", the oldest since {_time(aside.oldest)}"
    remedy = "see `ias usage quarantine` for the reasons; then `ias usage replay --all`, or `ias usage dismiss`"
    said = f"{aside.count} events are set aside{since}"
    figure = Figure("ias_quarantined", aside.count, consumer)
    return judged(not aside.count, wrong(f"consumer {consumer}", "quarantine", said, remedy, figure))


def _debts(of: str, count: int) -> Finding:
    said = f"{count} changes of {of} are committed and not confirmed by Redis"
    remedy = "a worker pays them each second; if they stay, its log says what Redis answered"
    return judged(
        not count, wrong("projection", f"debts, {of}", said, remedy, Figure("ias_projection_debts", count, of))
    )


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"

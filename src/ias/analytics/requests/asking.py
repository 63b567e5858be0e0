"""What the page of requests is asked for by its address, and what outcomes are called there."""

from datetime import date, datetime, time, timedelta
from typing import Annotated, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec import UNSET

from ias.analytics.requests.domain import Filters, filters
from ias.analytics.usage.periods import Period, bad_day, day_of
from ias.analytics.usage.spans import UTC_ZONE, month_of, zone_of
from ias.contract.usage import Outcome
from ias.problems import BadFilter, FieldError

_MOST_STATUS: Final = 999
_BACK: Final = {
    Period.HOUR: timedelta(hours=1),
    Period.DAY: timedelta(days=1),
    Period.WEEK: timedelta(days=7),
    Period.THIRTY: timedelta(days=30),
}


class Said(msgspec.Struct, frozen=True):
    """An outcome in words: what it is called, of what kind it is, and what it means for whoever called."""

    name: str
    kind: str
    meaning: str


OUTCOMES: Final = {
    Outcome.COMPLETED: Said("Completed", "good", "The model answered to the end."),
    Outcome.REJECTED: Said("Refused by the model", "warn", "The engine took the request for a bad one and said why."),
    Outcome.CLIENT_ABORTED: Said(
        "Caller hung up", "warn", "The program that called closed the connection. What was made until then is charged."
    ),
    Outcome.UPSTREAM_FAILED: Said("Engine failed", "bad", "No engine of the model could bring it to an end."),
    Outcome.UPSTREAM_TIMEOUT: Said("Engine took too long", "bad", "The engine did not answer in the time it has."),
    Outcome.CUT: Said(
        "Access withdrawn", "warn", "The key, its owner or the organisation was turned away while it was under way."
    ),
    Outcome.DRAINED: Said("Gateway restarted", "warn", "It was still under way when the gateway had to end."),
    Outcome.GATEWAY_LOST: Said(
        "Gateway lost", "bad", "The gateway ended unexpectedly. Tokens are those of the last checkpoint, or fewer."
    ),
}


class RequestView(msgspec.Struct, frozen=True, kw_only=True):
    """What the address asks for. `since` and `until` are days of the time zone, both included, as text."""

    period: Period = Period.WEEK
    since: str = msgspec.field(default="", name="from")
    until: str = msgspec.field(default="", name="to")
    timezone: str = UTC_ZONE
    model: str | None = None
    user: UUID | None = None
    key: UUID | None = None
    outcome: Outcome | None = None
    status: str = ""
    slow_ms: Annotated[int, msgspec.Meta(ge=0, le=10**9)] | None = None
    errors: bool = False

    def filters(self, org_id: UUID | None, moment: datetime) -> Filters:
        """The same as the list takes it; `moment` is now.

        Raises:
            BadFilter: the time makes no sense.
            BadRange: a day is none.
            UnknownZone: there is no such time zone.
        """
        since, until = self._span(moment)
        chosen: dict[str, object] = {
            "org_id": org_id,
            "model": self.model,
            "user_id": self.user,
            "key_id": self.key,
            "outcome": self.outcome,
            "status": _status(self.status),
            "errors": self.errors,
            "slower_than_ms": self.slow_ms,
        }
        return filters(chosen, since, until, moment)

    def query(self, **changes: object) -> dict[str, str]:
        """The address, with changes, without what is as it is anyway."""
        usual, found = RequestView(), {}
        for field in msgspec.structs.fields(RequestView):
            value = changes.get(field.name, getattr(self, field.name))
            if value != getattr(usual, field.name):
                found[field.encode_name] = str(value).lower() if isinstance(value, bool) else str(value)
        return found

    def _span(self, moment: datetime) -> tuple[datetime | None, datetime | None]:
        there = zone_of(self.timezone)
        if self.period in _BACK:
            return moment - _BACK[self.period], None
        if self.period is Period.CUSTOM:
            return self._days(there)
        month = month_of(moment.astimezone(there))
        return (month, None) if self.period is Period.MONTH else (month_of(month - timedelta(days=1)), month)

    def _days(self, there: ZoneInfo) -> tuple[datetime, datetime]:
        first = day_of("from", self.since)
        last = day_of("to", self.until or self.since)
        try:
            return _midnight(first, there), _midnight(last + timedelta(days=1), there)
        except OverflowError:
            raise bad_day("to") from None


def _status(said: str) -> int | None:
    if not said:
        return None
    if not (said.isascii() and said.isdigit() and len(said) <= len(str(_MOST_STATUS))):
        mend = f"write a whole number from 0 to {_MOST_STATUS}, such as 429; 0 is where no engine answered"
        raise BadFilter(f"status: {mend}", (FieldError(UNSET, mend, parameter="status"),))
    return int(said)


def _midnight(day: date, there: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), there)

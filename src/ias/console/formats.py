"""How numbers, money and moments are written on pages."""

from datetime import UTC, datetime
from decimal import Decimal

_STEPS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))
_CENT = Decimal("0.01")
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_JUST_NOW = 10
_LONG_AGO_DAYS = 60
_BROWSERS = (
    *(("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari")),
    ("curl/", "curl"),
)
_SYSTEMS = (
    *(("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS X", "macOS")),
    ("Linux", "Linux"),
)
NOTHING = "\N{EN DASH}"


def number(value: int | None) -> str:
    """Exact, with commas: 1,234,567."""
    return NOTHING if value is None else f"{value:,}"


def short(value: float | Decimal | None) -> str:
    """Three digits of it: 1.23M; what is below a thousand is told exactly, where it is whole."""
    if value is None:
        return NOTHING
    plain = float(value)
    for step, letter in _STEPS:
        # What rounds up to a thousand of a step is one of the next.
        if abs(plain) >= step - step / 2000:
            return f"{_three(plain / step)}{letter}"
    return _three(plain)


def money(value: Decimal | str | None) -> str:
    """An amount, to the cent and where it is small to its first two digits: 1,234.50 and 0.00042."""
    if value is None:
        return NOTHING
    amount = Decimal(value)
    if not amount or abs(amount) >= _CENT:
        return f"{amount:,.2f}"
    return f"{amount:.{1 - amount.adjusted()}f}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share of one, in percent: 0.256 is 26 %."""
    return NOTHING if share is None else f"{share * 100:.{digits}f} %"


def exactly(moment: datetime) -> str:
    """To the second, in UTC: 2026-01-31 12:00:00 UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def iso(moment: datetime) -> str:
    """As machines read it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(moment: datetime) -> str:
    """The day alone, in UTC: 31 Jan 2026."""
    return f"{moment.astimezone(UTC):%-d %b %Y}"


def relative(moment: datetime, now: datetime) -> str:
    """How far from now: 5 minutes ago, in 3 days; a day where it is more than two months."""
    seconds = (now - moment).total_seconds()
    away = abs(seconds)
    if away < _JUST_NOW:
        return "just now"
    if away >= _LONG_AGO_DAYS * _DAY:
        return day(moment)
    said = _span(away)
    return f"{said} ago" if seconds > 0 else f"in {said}"


def device(agent: str) -> str:
    """What a browser says that it is, in two words: Firefox on Linux."""
    # The order counts: each names those that come after it.
    browser = next((name for mark, name in _BROWSERS if mark in agent), "A browser")
    system = next((name for mark, name in _SYSTEMS if mark in agent), "")
    return f"{browser} on {system}" if system else browser


def _span(seconds: float) -> str:
    for length, name in ((_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= length:
            return _counted(int(seconds // length), name)
    return _counted(int(seconds), "second")


def _counted(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


def _three(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 999.5 else f"{value:.0f}"  # noqa: PLR2004 - three digits

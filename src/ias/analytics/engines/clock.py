"""What is done about engines' counters by the clock: taking them in, and telling by how much they differ."""

from datetime import timedelta

from prometheus_client import Gauge

from ias.analytics.engines.actions import collect
from ias.analytics.engines.domain import Reconciled
from ias.analytics.engines.queries import last_read, reconciliation
from ias.analytics.usage.spans import Span
from ias.db import EVERYWHERE
from ias.telemetry import now

__all__ = ["collect", "tell", "tell_engines"]

READ_WITHIN = timedelta(seconds=45)
"""They are read each ten seconds, and taken in each ten."""
DIFFERENCE = Gauge(
    "ias_engine_difference_tokens", "Tokens that engines counted less those that we did.", ["models", "kind", "day"]
)
UP = Gauge("ias_engine_up", "Whether an engine's counters were read in the last 45 s.", ["replica", "models"])
WATCHED = Gauge("ias_engine_watched_ratio", "Of today, through how much of it engines were read.", ["models"])


async def tell() -> None:
    """Set the gauges anew: of today so far, and of yesterday."""
    moment = now()
    found = await reconciliation(EVERYWHERE, Span(moment - timedelta(days=1), moment), moment)
    DIFFERENCE.clear()
    WATCHED.clear()
    for item in found.items:
        _tell(item, is_today=item.day == moment.date())


async def tell_engines() -> None:
    """Set anew whether each engine of an enabled model can be read.

    Raises:
        DatabaseDown: PostgreSQL does not answer.
    """
    found = await last_read(EVERYWHERE)
    UP.clear()
    for url, (models, read_at) in found.items():
        UP.labels(url, " ".join(models)).set(read_at is not None and now() - read_at < READ_WITHIN)


def _tell(item: Reconciled, *, is_today: bool) -> None:
    models, day = " ".join(item.models), "today" if is_today else "yesterday"
    for kind, tokens in (("prompt", item.prompt_difference), ("completion", item.completion_difference)):
        if tokens is not None:
            DIFFERENCE.labels(models, kind, day).set(tokens)
    if is_today:
        WATCHED.labels(models).set(item.watched_share)

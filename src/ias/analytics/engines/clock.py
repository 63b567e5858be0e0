"""What is done about engines' counters by the clock: taking them in, and telling by how much they differ."""

from datetime import timedelta

from prometheus_client import Gauge

from ias.analytics.engines.actions import collect
from ias.analytics.engines.domain import Reconciled
from ias.analytics.engines.queries import reconciliation
from ias.analytics.usage.spans import Span
from ias.db import EVERYWHERE
from ias.telemetry import now

__all__ = ["collect", "tell"]

DIFFERENCE = Gauge(
    "ias_engine_difference_tokens", "Tokens that engines counted less those that we did.", ["models", "kind", "day"]
)
WATCHED = Gauge("ias_engine_watched_ratio", "Of today, through how much of it engines were read.", ["models"])


async def tell() -> None:
    """Set the gauges anew: of today so far, and of yesterday."""
    moment = now()
    found = await reconciliation(EVERYWHERE, Span(moment - timedelta(days=1), moment), moment)
    DIFFERENCE.clear()
    WATCHED.clear()
    for item in found.items:
        _tell(item, is_today=item.day == moment.date())


def _tell(item: Reconciled, *, is_today: bool) -> None:
    models, day = " ".join(item.models), "today" if is_today else "yesterday"
    for kind, tokens in (("prompt", item.prompt_difference), ("completion", item.completion_difference)):
        if tokens is not None:
            DIFFERENCE.labels(models, kind, day).set(tokens)
    if is_today:
        WATCHED.labels(models).set(item.watched_share)

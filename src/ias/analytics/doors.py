"""What the processes mount of analytics."""

from ias.analytics.requests import examples as requests
from ias.analytics.requests.api import RequestApi
from ias.analytics.shares import examples as shares
from ias.analytics.shares.api import PlatformShareApi, ShareApi
from ias.analytics.usage import examples as usage
from ias.analytics.usage.api import UsageApi
from ias.analytics.usage.clock import forget, open_months
from ias.analytics.usage.consumer import INTAKE
from ias.analytics.usage.queries import QUARANTINE, daily, seen, settled, totals

__all__ = [
    "EXAMPLES",
    "INTAKE",
    "QUARANTINE",
    "TAGS",
    "TEXTS",
    "controllers",
    "daily",
    "forget",
    "open_months",
    "seen",
    "settled",
    "totals",
]

controllers = (UsageApi, ShareApi, PlatformShareApi, RequestApi)

# What the document says of the routes.
TAGS = {"analytics": "Usage, explored."}
EXAMPLES = (*usage.EXAMPLES, *shares.EXAMPLES, *requests.EXAMPLES)
TEXTS = usage.TEXTS

"""What the processes mount of analytics."""

from ias.analytics.engines import examples as engines
from ias.analytics.engines.api import EngineApi
from ias.analytics.engines.clock import collect, tell, tell_engines
from ias.analytics.explorer.pages import PlatformUsagePages, UsagePages
from ias.analytics.requests import examples as requests
from ias.analytics.requests.api import RequestApi
from ias.analytics.requests.pages import RequestPages
from ias.analytics.shares import examples as shares
from ias.analytics.shares.api import PlatformShareApi, ShareApi
from ias.analytics.usage import examples as usage
from ias.analytics.usage.api import UsageApi
from ias.analytics.usage.clock import forget, open_months
from ias.analytics.usage.consumer import INTAKE
from ias.analytics.usage.queries import QUARANTINE, callers, daily, seen, settled, totals
from ias.console.navigation import Area, Entry

__all__ = [
    "EXAMPLES",
    "INTAKE",
    "NAVIGATION",
    "QUARANTINE",
    "TAGS",
    "TEXTS",
    "callers",
    "collect",
    "controllers",
    "daily",
    "forget",
    "open_months",
    "pages",
    "seen",
    "settled",
    "tell",
    "tell_engines",
    "totals",
]

controllers = (UsageApi, ShareApi, PlatformShareApi, RequestApi, EngineApi)

pages = (UsagePages, PlatformUsagePages, RequestPages)

NAVIGATION = (
    Entry("Usage", "/orgs/{org_id}/usage", "chart-column", "usage:read", place=20),
    Entry("Requests", "/orgs/{org_id}/requests", "receipt-text", "usage:read", place=25),
    Entry("Usage", "/usage", "chart-column", "usage:platform", place=20, area=Area.PLATFORM),
)

# What the document says of the routes.
TAGS = {"analytics": "Usage, explored."}
EXAMPLES = (*usage.EXAMPLES, *shares.EXAMPLES, *requests.EXAMPLES, *engines.EXAMPLES)
TEXTS = usage.TEXTS

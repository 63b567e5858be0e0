"""What the processes mount of analytics."""

from ias.analytics.usage.api import UsageApi
from ias.analytics.usage.clock import forget, open_months
from ias.analytics.usage.consumer import INTAKE
from ias.analytics.usage.queries import QUARANTINE, daily, seen, settled, totals

__all__ = ["INTAKE", "QUARANTINE", "controllers", "daily", "forget", "open_months", "seen", "settled", "totals"]

controllers = (UsageApi,)

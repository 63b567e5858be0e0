"""What the processes mount of analytics."""

from ias.analytics.usage.api import UsageApi
from ias.analytics.usage.clock import forget, open_months
from ias.analytics.usage.consumer import INTAKE
from ias.analytics.usage.queries import settled

__all__ = ["INTAKE", "controllers", "forget", "open_months", "settled"]

controllers = (UsageApi,)

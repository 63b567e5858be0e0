"""The JSON and CSV door of the engines' counters."""

from collections.abc import AsyncIterator, Sequence

from litestar import Controller, get
from litestar.di import NamedDependency
from litestar.response import Stream

from ias.analytics.engines.domain import Reconciled, Reconciliation
from ias.analytics.engines.queries import COLUMNS, reconciliation, row_of
from ias.analytics.reading import TooMuch
from ias.analytics.usage.api import WITHIN
from ias.analytics.usage.spans import BadRange, Span, UnknownZone
from ias.identity import Permission, Principal, requires
from ias.problems import raising
from ias.sheet import sheet
from ias.telemetry import now


class EngineApi(Controller):
    """What engines count themselves."""

    path = "/analytics/system/reconciliation"
    tags = ("analytics",)
    dependencies = WITHIN

    @get(guards=[requires(Permission.USAGE_PLATFORM)], opt=raising(BadRange, UnknownZone, TooMuch))
    async def reconciliation(
        self, principal: NamedDependency[Principal], within: NamedDependency[Span], as_csv: NamedDependency[bool]
    ) -> Reconciliation | Stream:
        """Our tokens against those that engines counted, by model and whole day (UTC), and what a difference is."""
        found = await reconciliation(principal, within, now())
        return await sheet("reconciliation", (*COLUMNS, "causes"), _rows(found.items)) if as_csv else found


async def _rows(items: Sequence[Reconciled]) -> AsyncIterator[Sequence[object]]:
    for item in items:
        yield row_of(item)

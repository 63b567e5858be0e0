"""Watching the use of budgets: what has changed in Redis since the last look is compared with the thresholds."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from loguru import logger
from prometheus_client import Gauge

from ias.billing.alerts import counts
from ias.billing.alerts.actions import carry_out
from ias.billing.alerts.counts import Standing
from ias.billing.alerts.domain import Mark, Plan, Rules, Use, plan, plan_late, watched, without
from ias.billing.alerts.queries import in_force, passed, rules_of
from ias.edge import Edge
from ias.identity import Tenant, removed_users, tenants

PASSED = Gauge("ias_budgets_passed", "Budgets of this month that have passed a threshold.", ["threshold", "scope"])


class Watch:
    """Raises alerts of all organisations. Any number may run; what one remembers only spares it work."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._seen: dict[str, dict[UUID, Standing]] = {}
        self._rules: dict[UUID, tuple[int, Rules]] = {}

    async def look(self) -> None:
        """Raise and clear what there is, of this month and of one that has just ended.

        Raises:
            EdgeDown: Redis does not answer.
            DatabaseDown: PostgreSQL does not answer.
        """
        moment, known = await counts.clock(self._edge), await tenants()
        here = set(await self._edge.reachable([org.tag for org in known]))
        orgs = [org for org in known if org.tag in here]
        months = watched(moment)
        self._seen = {period: self._seen.get(period, {}) for period in months}
        self._rules = {org.id: self._rules[org.id] for org in orgs if org.id in self._rules}
        for period in months:
            await self._look(period, orgs, late=period != months[0])
        await _tell(months[0])

    async def _look(self, period: str, orgs: Sequence[Tenant], *, late: bool) -> None:
        standings, seen = await counts.standings(self._edge, orgs, period), self._seen[period]
        changed = {org_id: standing for org_id, standing in standings.items() if seen.get(org_id) != standing}
        if not changed:
            return
        # Before the rules: an alert that is cleared meanwhile is not raised again by the amount that it was raised by.
        holding = await in_force(period, list(changed))
        rules = await self._rules_of(changed)
        uses = await self._uses(period, [org for org in orgs if org.id in changed], changed, rules)
        planned = plan_late(uses, rules, holding, _end(period)) if late else plan(uses, rules, holding)
        planned = await _of_members(planned, {} if late else holding)
        raised = await carry_out(period, planned)
        seen.update(changed)
        if raised or planned.cleared:
            logger.info("raised {} alerts about budgets, cleared {}", raised, len(planned.cleared))

    async def _rules_of(self, changed: Mapping[UUID, Standing]) -> dict[UUID, Rules]:
        known = self._rules
        stale = [o for o, standing in changed.items() if o not in known or known[o][0] != standing.policy]
        fresh = await rules_of(stale) if stale else {}
        known.update({org_id: (changed[org_id].policy, rules) for org_id, rules in fresh.items()})
        return {org_id: known[org_id][1] for org_id in changed}

    async def _uses(
        self, period: str, orgs: Sequence[Tenant], changed: Mapping[UUID, Standing], rules: Mapping[UUID, Rules]
    ) -> dict[UUID, dict[UUID | None, Use]]:
        limiting = [org for org in orgs if rules[org.id].limits_members]
        of_members = await counts.members(self._edge, limiting, period)
        uses: dict[UUID, dict[UUID | None, Use]] = {org_id: {None: changed[org_id].use} for org_id in changed}
        for org_id, of_each in of_members.items():
            uses[org_id].update(of_each)
        return uses


async def _of_members(planned: Plan, holding: Mapping[Mark, int]) -> Plan:
    about = {mark.user_id for mark in (*holding, *(passing.mark for passing in planned.raised))}
    return without(await removed_users([user for user in about if user is not None]), planned, holding)


async def _tell(period: str) -> None:
    found = await passed(period)
    PASSED.clear()
    for (threshold, scope), budgets in found.items():
        PASSED.labels(threshold, scope).set(budgets)


def _end(period: str) -> datetime:
    """When the month after this one began."""
    year, month = int(period[:4]), int(period[4:])
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)

"""Putting the first pages together: each part comes from the context that knows it."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from ias.analytics import Filter, Owner, ever_used, silent_replicas, this_month
from ias.analytics.values import Shares
from ias.billing import DailyUse, costs, member_standing, pressing, replicas_of_models, standing
from ias.billing.values import BudgetStanding, MemberStanding
from ias.contract import beats
from ias.db import transaction
from ias.edge import Edge, EdgeDown
from ias.gitops import NotManaged
from ias.gitops import status as binding_status
from ias.gitops.values import Binding
from ias.home.domain import Around, Notice, notices, platform_notices
from ias.home.steps import Step, platform_steps, steps
from ias.identity import (
    ApiKey,
    KeyBooks,
    Permission,
    Principal,
    addresses,
    names,
    newest_keys,
    outline_of,
    platform_outline,
)
from ias.identity.values import PlatformOutline
from ias.telemetry import now
from ias.vitals.examination import glance
from ias.vitals.findings import Finding


class Doors(msgspec.Struct, frozen=True):
    """What the contexts are asked by."""

    edge: Edge
    daily_use: DailyUse
    key_books: KeyBooks


class OrgHome(msgspec.Struct, frozen=True, kw_only=True):
    """The first page of an organisation.

    Attributes:
        budget: None where Redis, which counts, does not answer; own is the caller's, None where they have none.
        month: the usage of this month so far, by model, against that part of the last one: of the organisation for who
            manages it, of the caller alone for others.
        days: tokens of each day of this month, of the same.
        cost: of this month, and of the whole last one; money, exact.
        keys: the caller's newest.
        models: names that the organisation may call.
    """

    budget: BudgetStanding | None
    own: MemberStanding | None
    month: Shares
    days: list[int]
    cost: str
    last_cost: str
    keys: list[ApiKey]
    models: list[str]
    steps: tuple[Step, ...]
    notices: tuple[Notice, ...]


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The first page of the platform.

    Attributes:
        month: the usage of this month so far, by model; organisations: the same of the largest ones.
        called: what these organisations are called.
        findings: what `ias doctor` finds of gateways, books and repositories; what is wrong first.
    """

    outline: PlatformOutline
    models: int
    gateways: int
    month: Shares
    organisations: Shares
    called: dict[UUID, str]
    findings: list[Finding]
    steps: tuple[Step, ...]
    notices: tuple[Notice, ...]


async def org_home(principal: Principal, org_id: UUID, doors: Doors) -> OrgHome:
    """The first page of an organisation, for whoever looks.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    moment, by = now(), principal.within(org_id)
    holds_keys, manages = by.may(Permission.KEYS_CREATE), by.may(Permission.BUDGETS_WRITE)
    budget, own = await _budgets(by, org_id, doors)
    whose = Filter() if manages else Filter(user_id=by.user_id)
    month = await this_month(by, org_id, Owner.MODEL, moment, whose)
    alerts = await pressing(by, org_id, f"{moment:%Y%m}")
    keys = await newest_keys(by, doors.key_books.use) if holds_keys else []
    models = await doors.key_books.models(org_id)
    spent = await costs(by, org_id, _months(moment))
    about = Around(
        base=f"/orgs/{org_id}",
        manages=manages,
        holds_keys=holds_keys,
        outline=await outline_of(by, moment),
        budget=budget,
        own=own,
        alerts=alerts,
        called=await addresses(by, [alert.user_id for alert in alerts if alert.user_id]) if alerts else {},
        binding=await _binding(by, org_id) if by.may(Permission.GITOPS_READ) else None,
        models=len(models),
        used=bool(month.totals.requests) or await ever_used(by, org_id, whose.user_id),
        failed=month.totals.failed,
        requests=month.totals.requests,
    )
    this, last = _months(moment)
    return OrgHome(
        budget=budget,
        own=own,
        month=month,
        days=await _days(org_id, whose.user_id, moment, doors),
        cost=spent[this],
        last_cost=spent[last],
        keys=keys,
        models=models,
        steps=steps(about),
        notices=notices(about),
    )


async def overview(principal: Principal, edge: Edge) -> Overview:
    """The first page of the platform."""
    moment = now()
    outline = await platform_outline()
    month = await this_month(principal, None, Owner.MODEL, moment)
    organisations = await this_month(principal, None, Owner.ORGANISATION, moment)
    async with transaction(principal) as connection:
        replicas = await replicas_of_models(connection)
    silent = await silent_replicas(principal, moment)
    findings = await glance(edge)
    gateways = await _gateways(edge, moment)
    return Overview(
        outline=outline,
        models=len(replicas),
        gateways=gateways,
        month=month,
        organisations=organisations,
        called=await names([item.org_id for item in organisations.items if isinstance(item.org_id, UUID)]),
        findings=sorted(findings, key=lambda finding: finding.well),
        steps=platform_steps(outline, len(replicas), gateways, used=await ever_used(principal, None)),
        notices=platform_notices(findings, replicas, silent, month.items),
    )


async def _budgets(by: Principal, org_id: UUID, doors: Doors) -> tuple[BudgetStanding | None, MemberStanding | None]:
    """The organisation's, and the caller's own: where they have one, or are only a member."""
    try:
        whole = await standing(by, org_id, doors.edge, doors.daily_use)
        limited = by.user_id in whole.users or whole.user_monthly_tokens is not None
        if not by.may(Permission.KEYS_CREATE) or (by.may(Permission.BUDGETS_WRITE) and not limited):
            return whole, None
        return whole, await member_standing(by, (org_id, by.user_id), doors.edge, doors.daily_use)
    except EdgeDown:
        return None, None


async def _binding(by: Principal, org_id: UUID) -> Binding | None:
    try:
        return await binding_status(by, org_id)
    except NotManaged:
        return None


async def _days(org_id: UUID, user_id: UUID | None, moment: datetime, doors: Doors) -> list[int]:
    start = moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    days = await doors.daily_use(org_id, user_id, start, moment)
    return [days.get((start + timedelta(days=number)).date(), 0) for number in range(moment.day)]


async def _gateways(edge: Edge, moment: datetime) -> int:
    try:
        said = beats.read_beats(await edge.call(beats.BEATS))
    except EdgeDown:
        return 0
    return sum(beat.lives(moment.timestamp()) for beat in said)


def _months(moment: datetime) -> tuple[str, str]:
    return f"{moment:%Y%m}", f"{moment.replace(day=1) - timedelta(days=1):%Y%m}"

"""What a worker's metrics say that organisations have used this month: bounded, however many there are."""

import asyncio
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from ias.billing.doors import INTAKE
from ias.billing.policies.domain import DEFAULT_BUDGET
from ias.billing.spend import clock
from ias.intake import take_in
from ias.telemetry import now
from tests.integration.billing.ground import Ground, Org
from tests.integration.billing.test_ledger import events

pytestmark = pytest.mark.alike

MOST = 10**14
"""More than any other test has an organisation use."""


async def use(org: Org, tokens: int) -> None:
    moment = now()
    times = {"started_at": moment, "settled_at": moment, "period": f"{moment:%Y%m}"}
    await take_in(INTAKE, events(org, 1, prompt_tokens=tokens, completion_tokens=7, cached_tokens=0, **times))


def told(metric: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"ias_{metric}", labels)


def member(org: Org, user: UUID) -> float | None:
    return told("member_tokens", organisation=f"org-{org.tag}", user=str(user))


def test_organisations_of_one_name_are_told_apart_by_their_ids() -> None:
    first, second, third = (UUID(int=number) for number in range(3))

    told_apart = clock.told_apart({first: "acme", second: "acme", third: "globex"})

    assert told_apart == {first: f"acme ({first})", second: f"acme ({second})", third: "globex"}


async def test_the_largest_is_told_by_itself_and_the_others_together(
    ground: Ground, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await ground.organisation()
    await use(org, MOST)
    await use(other, MOST // 2)
    monkeypatch.setattr(clock, "LARGEST", 1)

    await clock.tell()

    name = f"org-{org.tag}"
    assert told("organisation_tokens", organisation=name, type="input") == MOST
    assert told("organisation_tokens", organisation=name, type="output") == 7
    assert told("organisation_requests", organisation=name) == 1
    assert told("organisation_cost", organisation=name) == pytest.approx(MOST / 1000 * 0.5)
    assert told("organisation_budget_tokens", organisation=name) == DEFAULT_BUDGET.monthly_tokens
    assert told("organisation_tokens", organisation=f"org-{other.tag}", type="input") is None
    assert (told("organisation_tokens", organisation=clock.OTHERS, type="input") or 0) >= MOST // 2
    assert (told("organisations_active") or 0) >= 2
    assert member(org, org.user) == MOST + 7
    assert member(other, other.user) is None


async def test_what_a_worker_without_sums_of_organisations_booked_is_summed_up_later(ground: Ground, org: Org) -> None:
    await use(org, 100)
    await ground.owner.execute("UPDATE billing.spend SET requests = 3, cost = cost * 3 WHERE org_id = $1", org.id)
    other = await ground.organisation()
    await use(other, 100)
    await ground.owner.execute("DELETE FROM billing.org_spend WHERE org_id = $1", other.id)

    await clock.sum_up()

    differing = await ground.rows(
        """SELECT org_id FROM billing.spend s WHERE org_id = ANY($1) AND ROW(requests, cost) IS DISTINCT FROM
        (SELECT ROW(requests, cost) FROM billing.org_spend o WHERE (o.org_id, o.period) = (s.org_id, s.period))""",
        [org.id, other.id],
    )
    assert differing == []


async def test_sums_are_corrected_beside_whoever_works_on_the_table_and_nobody_waits(ground: Ground, org: Org) -> None:
    await use(org, 100)
    await ground.owner.execute("DELETE FROM billing.org_spend WHERE org_id = $1", org.id)

    async with ground.owner.transaction():
        await ground.owner.execute("LOCK TABLE billing.spend IN SHARE UPDATE EXCLUSIVE MODE")
        await asyncio.gather(clock.sum_up(), clock.sum_up(), use(org, 100))

    assert await ground.rows("SELECT requests, prompt_tokens FROM billing.org_spend WHERE org_id = $1", org.id) == [
        (2, 200)
    ]

"""The month's edge, on a Redis whose clock stands where the test puts it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from ias.analytics.doors import INTAKE as ANALYTICS
from ias.billing.doors import INTAKE as LEDGER
from ias.billing.doors import Relay, Watch, sweep
from ias.contract import admission
from ias.contract.admission import Admitted, OverBudget, text
from ias.contract.usage import UsageRecorded
from ias.intake import take_in
from tests.integration.billing.ground import Ground, Org, opened
from tests.integration.billing.test_alerts import alerts, give
from tests.integration.billing.test_relay import until_idle
from tests.services import Service, Services
from tests.services.private import PrivateService
from tests.services.redis import CLOCK, set_clock

pytestmark = pytest.mark.alike

EDGES = {"year": datetime(2027, 1, 1, tzinfo=UTC), "leap day": datetime(2028, 3, 1, tzinfo=UTC)}
SECOND = timedelta(seconds=1)


@dataclass
class Edged:
    """An organisation whose Redis stands at the last second of a month."""

    ground: Ground
    redis: Service
    org: Org
    edge: datetime
    events: list[UsageRecorded]

    @property
    def last(self) -> str:
        return f"{self.edge - SECOND:%Y%m}"

    @property
    def next(self) -> str:
        return f"{self.edge:%Y%m}"

    async def turn(self, moment: datetime) -> None:
        """Let Redis's clock stand there."""
        assert isinstance(self.redis, PrivateService)
        set_clock(self.redis, f"{moment:%Y-%m-%d %H:%M:%S}")
        async with asyncio.timeout(30):
            while (await self.ground.edge.call(("TIME",)))[0] != int(moment.timestamp()):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def counted(self, period: str) -> list[int]:
        """Used and held, of the organisation and of its user."""
        month, user = f"{{o:{self.org.tag}}}:bud:{period}", self.org.user
        fields = await self.ground.edge.redis.hmget(month, "used", "resv", f"u:{user}", f"r:{user}")
        return [int(field or 0) for field in fields]

    async def book(self) -> None:
        """Take everything in, as a worker without a broker does."""

        async def sink(batch: Sequence[UsageRecorded]) -> None:
            self.events += batch
            for intake in (LEDGER, ANALYTICS):
                await take_in(intake, batch)

        await until_idle(Relay(self.ground.edge, sink, "edge", 30))

    async def tokens(self, sql: str) -> dict[str, int]:
        """Tokens by month."""
        return {str(month): int(str(tokens)) for month, tokens in await self.ground.rows(sql, self.org.id)}


@pytest.fixture(params=EDGES)
async def edged(world: Services, migrated: str, request: pytest.FixtureRequest) -> AsyncIterator[Edged]:
    edge = EDGES[request.param]
    with (
        world.database(migrated) as url,
        world.fresh("redis", {CLOCK: f"{edge - SECOND:%Y-%m-%d %H:%M:%S}"}) as redis,
    ):
        async with opened(url, redis.url) as ground:
            org = await ground.organisation()
            await give(ground, org, 1000)
            yield Edged(ground, redis, org, edge, [])


LEDGER_BY_MONTH = (
    "SELECT period, sum(prompt_tokens + completion_tokens) FROM billing.ledger_lines WHERE org_id = $1 GROUP BY 1"
)
SPEND_BY_MONTH = "SELECT period, sum(prompt_tokens + completion_tokens) FROM billing.spend WHERE org_id = $1 GROUP BY 1"
ANALYTICS_BY_MONTH = """
SELECT to_char(bucket AT TIME ZONE 'UTC', 'YYYYMM'), sum(prompt_tokens + completion_tokens)
FROM analytics.{} WHERE org_id = $1 GROUP BY 1
"""


async def test_a_request_over_the_edge_is_charged_to_the_month_that_admitted_it(edged: Edged) -> None:
    org = edged.org
    late, admitted = await org.reserve()
    assert isinstance(admitted, Admitted)
    await edged.turn(edged.edge)

    first, whole = await org.reserve(output=990)
    _, nothing_left = await org.reserve()
    await org.settle(late, (700, 100, 0), admitted)

    assert isinstance(whole, Admitted)
    assert (admitted.period, whole.period, whole.held) == (edged.last, edged.next, 1000)
    assert isinstance(nothing_left, OverBudget)
    assert await edged.counted(edged.last) == [800, 0, 800, 0]
    assert await edged.counted(edged.next) == [0, 1000, 0, 1000]

    await org.settle(first, (10, 5, 0), whole)
    await edged.book()
    by_month = {edged.last: 800, edged.next: 15}

    assert {event.period: event.prompt_tokens + event.completion_tokens for event in edged.events} == by_month
    assert [event.started_at.replace(microsecond=0) for event in edged.events] == [edged.edge - SECOND, edged.edge]
    assert await edged.tokens(LEDGER_BY_MONTH) == by_month
    assert await edged.tokens(SPEND_BY_MONTH) == by_month
    assert await edged.tokens(ANALYTICS_BY_MONTH.format("usage_daily")) == by_month
    assert await edged.tokens(ANALYTICS_BY_MONTH.format("usage_hourly")) == by_month
    assert [text(part) for part in (await org.edge.standing(org.tag, ""))[:4]][::2] == [edged.next, "15"]


async def test_an_alert_over_the_edge_is_of_the_month_that_was_used(edged: Edged) -> None:
    late, admitted = await edged.org.reserve()
    assert isinstance(admitted, Admitted)
    watch = Watch(edged.ground.edge)
    await watch.look()
    await edged.turn(edged.edge)
    await watch.look()
    assert await alerts(edged.ground, edged.org) == []

    await edged.org.settle(late, (700, 100, 0), admitted)
    await watch.look()
    await Watch(edged.ground.edge).look()

    assert await alerts(edged.ground, edged.org) == [("org", 80, 1000, 800)]
    assert await edged.ground.value("SELECT period FROM billing.alerts WHERE org_id = $1", edged.org.id) == edged.last


async def test_a_budget_changed_after_the_edge_says_nothing_about_the_month_before(edged: Edged) -> None:
    late, admitted = await edged.org.reserve()
    assert isinstance(admitted, Admitted)
    await edged.turn(edged.edge)
    await edged.org.settle(late, (700, 0, 0), admitted)
    await edged.ground.owner.execute(
        "UPDATE billing.budgets SET monthly_tokens = 10, updated_at = $2 WHERE org_id = $1",
        *(edged.org.id, edged.edge + SECOND),
    )

    await Watch(edged.ground.edge).look()

    assert await alerts(edged.ground, edged.org) == []


async def test_a_lost_request_and_its_late_truth_are_of_the_month_that_admitted_it(edged: Edged) -> None:
    org = edged.org
    lost, admitted = await org.reserve()
    assert isinstance(admitted, Admitted)
    await org.edge.call(admission.tick(org.tag, 30, [lost, 10, 7, 0]))
    await edged.turn(edged.edge + timedelta(seconds=40))

    await sweep(org.edge)
    await org.settle(lost, (10, 9, 0), admitted)
    await edged.book()

    assert await edged.counted(edged.last) == [19, 0, 19, 0]
    assert await edged.counted(edged.next) == [0, 0, 0, 0]
    assert await edged.tokens(LEDGER_BY_MONTH) == {edged.last: 19}
    assert await edged.tokens(ANALYTICS_BY_MONTH.format("usage_daily")) == {edged.last: 19}
    first, second = sorted(edged.events, key=lambda event: event.line)
    assert (first.line, second.line, first.started_at) == (1, 2, second.started_at)
    assert first.started_at.replace(microsecond=0) == edged.edge - SECOND

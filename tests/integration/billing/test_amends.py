"""A request that was settled twice, because Redis forgot the first time, is charged what it used."""

from itertools import permutations
from uuid import UUID

import msgspec
import pytest

from ias.analytics.doors import INTAKE as ANALYTICS
from ias.billing.doors import INTAKE
from ias.contract.usage import Outcome, UsageRecorded
from ias.intake import take_in
from tests.integration.billing.ground import Ground, Org
from tests.integration.billing.test_ledger import events

pytestmark = pytest.mark.alike


def three_truths(org: Org) -> list[UsageRecorded]:
    """Of one request: two sweepers', before and after Redis lost it, and the gateway's, which was away."""
    (event,) = events(org, 1)
    replace = msgspec.structs.replace
    swept = replace(event, outcome=Outcome.GATEWAY_LOST, lower_bound=True, prompt_tokens=10, cached_tokens=0)
    return [
        replace(swept, completion_tokens=3),
        replace(swept, completion_tokens=5),
        replace(event, outcome=Outcome.CLIENT_ABORTED, prompt_tokens=10, completion_tokens=9, cached_tokens=0),
    ]


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("together", [True, False])
async def test_the_lines_of_a_request_come_to_what_its_gateway_says(
    ground: Ground, org: Org, order: tuple[int, ...], together: bool
) -> None:
    truths = three_truths(org)
    told = [truths[place] for place in order]
    for _ in range(2):
        for intake in (INTAKE, ANALYTICS):
            for batch in [told] if together else [[one] for one in told]:
                await take_in(intake, batch)
        await come_to(ground, org, truths[0].request_id)


async def come_to(ground: Ground, org: Org, request: UUID) -> None:
    """All lines, and all sums, say what the gateway did."""
    for table in ("billing.ledger_lines", "analytics.usage_events"):
        sums = f"SELECT sum(prompt_tokens)::int, sum(completion_tokens)::int FROM {table} WHERE request_id = $1"
        assert await ground.rows(sums, request) == [(10, 9)]
        firsts = f"SELECT count(*)::int FROM {table} WHERE request_id = $1 AND line = 1"
        assert await ground.value(firsts, request) == 1
    for table in ("billing.quarantine", "analytics.quarantine"):
        assert await ground.value(f"SELECT count(*)::int FROM {table} WHERE request_id = $1", request) == 0
    spent = (
        "SELECT sum(requests)::int, sum(prompt_tokens + completion_tokens)::int FROM billing.spend WHERE org_id = $1"
    )
    assert await ground.rows(spent, org.id) == [(1, 19)]


async def test_two_gateways_that_contradict_each_other_are_for_people_to_look_at(ground: Ground, org: Org) -> None:
    (event,) = events(org, 1)
    await take_in(INTAKE, [event])
    await take_in(INTAKE, [msgspec.structs.replace(event, completion_tokens=event.completion_tokens + 1)])
    found = "SELECT count(*)::int FROM billing.quarantine WHERE request_id = $1"
    assert await ground.value(found, event.request_id) == 1

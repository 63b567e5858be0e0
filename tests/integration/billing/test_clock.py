"""Sweeping, clearing outboxes and relaying again, on real Redis and PostgreSQL."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from ias.billing.doors import INTAKE, Relay, clear, relay_again, settled, sweep
from ias.billing.ledger.queries import Place
from ias.contract import admission
from ias.contract.admission import Admitted, text
from ias.contract.usage import Outcome, UsageRecorded
from ias.intake import take_in
from tests.integration.billing.ground import Ground, Org
from tests.integration.billing.test_relay import Sink, until_idle

pytestmark = pytest.mark.alike


async def nobody(places: Sequence[Place]) -> set[Place]:
    return set()


async def book(org: Org) -> None:
    async def sink(batch: Sequence[UsageRecorded]) -> None:
        await take_in(INTAKE, [event for event in batch if event.organisation == org.id])

    await until_idle(Relay(org.edge, sink, "clock", 30))


async def test_what_is_in_the_ledger_is_deleted_from_the_outbox_and_the_rest_stays(org: Org) -> None:
    await org.complete()
    await book(org)
    await org.complete()

    await clear(org.edge, [settled])

    assert await org.waiting() == 1


async def test_what_one_consumer_lacks_stays(org: Org) -> None:
    await org.complete()
    await book(org)

    await clear(org.edge, [settled, nobody])

    assert await org.waiting() == 1


async def test_a_long_outbox_is_cleared_in_one_go(org: Org) -> None:
    admitted = (await org.reserve())[1]
    assert isinstance(admitted, Admitted)
    for _ in range(1200):
        await org.settle((await org.reserve())[0], (1, 1, 0), admitted)
    await book(org)

    await clear(org.edge, [settled])

    assert await org.waiting() == 0


async def test_what_the_queue_lost_is_relayed_again_once_it_is_old(org: Org) -> None:
    lost, sink, request_id = Sink(), Sink(), await org.complete()
    await until_idle(Relay(org.edge, lost, "clock", 30))

    await relay_again(org.edge, [settled], sink, older_than_s=60)
    assert sink.of(org) == []
    await asyncio.sleep(0.02)
    await relay_again(org.edge, [settled], sink, older_than_s=0.01)

    assert sink.of(org) == [request_id]


async def test_what_is_in_the_ledger_is_not_relayed_again(org: Org) -> None:
    sink = Sink()
    await org.complete()
    await book(org)

    await relay_again(org.edge, [settled], sink, older_than_s=-1)

    assert sink.of(org) == []


async def test_a_lost_gateways_request_is_settled_from_its_last_checkpoint(ground: Ground, org: Org) -> None:
    request_id, admitted = await org.reserve(lease_s=0)
    assert isinstance(admitted, Admitted)
    await org.edge.call(admission.tick(org.tag, 0, [request_id, 10, 7, 2]))

    await sweep(org.edge)
    await book(org)

    [row] = await ground.rows(
        """SELECT prompt_tokens, completion_tokens, cached_tokens, outcome, lower_bound, org_id, user_id, key_id, model
        FROM billing.ledger_lines WHERE request_id = $1::text::uuid""",
        request_id,
    )
    assert row == (10, 7, 2, Outcome.GATEWAY_LOST, True, org.id, org.user, org.key, org.model_name)
    standing = [text(part) for part in await org.edge.standing(org.tag, str(org.user))]
    assert standing[2:6] == ["17", "0", "17", "0"]


async def test_sweeping_twice_settles_once_and_a_late_gateways_truth_becomes_an_adjustment(
    ground: Ground, org: Org
) -> None:
    request_id, admitted = await org.reserve(lease_s=0)
    assert isinstance(admitted, Admitted)
    await org.edge.call(admission.tick(org.tag, 0, [request_id, 10, 7, 0]))

    await asyncio.gather(sweep(org.edge), sweep(org.edge))
    await org.settle(request_id, (10, 9, 0), admitted)
    await book(org)

    lines = await ground.rows(
        "SELECT line, completion_tokens FROM billing.ledger_lines WHERE request_id = $1::text::uuid ORDER BY line",
        request_id,
    )
    assert lines == [(1, 7), (2, 2)]
    assert await ground.value("SELECT sum(requests) FROM billing.spend WHERE org_id = $1", org.id) == 1


async def test_a_removed_organisations_requests_are_still_accounted_for(ground: Ground, org: Org) -> None:
    request_id = await org.complete()
    await ground.owner.execute("UPDATE identity.organizations SET status = 'removed' WHERE id = $1", org.id)

    await book(org)
    await clear(org.edge, [settled])

    assert await ground.value("SELECT count(*) FROM billing.ledger_lines WHERE request_id::text = $1", request_id) == 1
    assert await org.waiting() == 0


async def test_facts_are_json_that_any_release_can_read(org: Org) -> None:
    await org.complete()

    [(_, fields)] = await org.edge.redis.xrange(admission.outbox(org.tag))

    assert msgspec.json.decode(fields[b"f"])["organisation"] == str(org.id)

"""The relay on real Redis: everything settled reaches the sink at least once, whoever dies in between."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from ias.billing.doors import INTAKE, Relay
from ias.billing.ledger import outbox
from ias.contract import admission
from ias.contract.usage import UsageRecorded
from ias.intake import take_in
from tests.integration.billing.ground import Ground, Org

pytestmark = pytest.mark.alike


class Sink:
    """Keeps what it is given, and fails when told to."""

    def __init__(self) -> None:
        self.got: list[UsageRecorded] = []
        self.broken = False
        self.confirm_lost = False

    async def __call__(self, batch: Sequence[UsageRecorded]) -> None:
        if self.broken:
            raise ConnectionError("the broker is away")
        self.got += batch
        if self.confirm_lost:
            raise ConnectionError("the confirmation was lost")

    def of(self, org: Org) -> list[str]:
        return [str(event.request_id) for event in self.got if event.organisation == org.id]


async def until_idle(relay: Relay) -> None:
    while not await relay.turn():
        pass


async def pending(org: Org) -> int:
    answer = await org.edge.redis.xpending(admission.outbox(org.tag), outbox.GROUP)
    return int(answer["pending"])


async def test_what_is_settled_reaches_the_sink_with_everything_that_is_known(org: Org) -> None:
    sink = Sink()
    request_id = await org.complete((10, 5, 3))

    await until_idle(Relay(org.edge, sink, "one", 30))

    [event] = [event for event in sink.got if event.organisation == org.id]
    assert (str(event.request_id), event.line, event.user, event.key) == (request_id, 1, org.user, org.key)
    assert (event.prompt_tokens, event.completion_tokens, event.cached_tokens) == (10, 5, 3)
    assert (event.model, event.model_id, event.status) == (org.model_name, org.model, 200)
    assert await pending(org) == 0


async def test_what_was_relayed_stays_in_the_outbox_until_it_is_found_in_the_ledger(org: Org) -> None:
    await org.complete()

    await until_idle(Relay(org.edge, Sink(), "one", 30))

    assert await org.waiting() == 1


async def test_a_sink_that_is_away_loses_nothing(org: Org) -> None:
    sink, ids = Sink(), [await org.complete() for _ in range(3)]
    relay = Relay(org.edge, sink, "one", 30)
    sink.broken = True
    with pytest.raises(ConnectionError):
        await relay.turn()
    ids.append(await org.complete())

    sink.broken = False
    await until_idle(relay)

    assert sorted(sink.of(org)) == sorted(ids)


async def test_a_relay_killed_after_publish_and_before_ack_relays_again_under_the_same_name(org: Org) -> None:
    sink, request_id = Sink(), await org.complete()
    sink.confirm_lost = True
    with pytest.raises(ConnectionError):
        await Relay(org.edge, sink, "one", 30).turn()

    sink.confirm_lost = False
    await until_idle(Relay(org.edge, sink, "one", 30))

    assert sink.of(org) == [request_id, request_id]
    assert await pending(org) == 0


async def test_a_dead_relays_entries_are_taken_over_by_another(org: Org) -> None:
    sink, request_id = Sink(), await org.complete()
    sink.broken = True
    with pytest.raises(ConnectionError):
        await Relay(org.edge, sink, "dead", 30).turn()
    sink.broken = False

    patient = Relay(org.edge, sink, "patient", 3600)
    await until_idle(patient)
    assert sink.of(org) == []

    await asyncio.sleep(0.05)
    await until_idle(Relay(org.edge, sink, "heir", 0.01))
    assert sink.of(org) == [request_id]


async def test_two_relays_share_the_work_and_the_ledger_has_each_once(ground: Ground, org: Org) -> None:
    ids = [await org.complete() for _ in range(200)]

    async def sink(batch: Sequence[UsageRecorded]) -> None:
        await take_in(INTAKE, [event for event in batch if event.organisation == org.id])

    await asyncio.gather(*(until_idle(Relay(org.edge, sink, name, 0.01)) for name in ("left", "right")))

    lines = await ground.rows("SELECT request_id::text FROM billing.ledger_lines WHERE org_id = $1", org.id)
    assert Counter(row[0] for row in lines) == Counter(ids)


async def test_an_entry_that_cannot_be_decoded_does_not_block_the_stream(ground: Ground, org: Org) -> None:
    sink = Sink()
    await org.edge.redis.xadd(admission.outbox(org.tag), {"r": "junk", "f": b"\xff{"})
    request_id = await org.complete()

    await until_idle(Relay(org.edge, sink, "one", 30))

    assert sink.of(org) == [request_id]
    assert await org.waiting() == 1
    [(origin, body)] = await ground.rows(
        "SELECT origin, body FROM billing.quarantine WHERE body LIKE $1", b'%"outbox":"' + org.tag.encode() + b'"%'
    )
    assert origin == "outbox"
    assert b"junk" in body


async def test_entries_deleted_under_the_relay_are_let_go(org: Org) -> None:
    sink = Sink()
    sink.broken = True
    relay = Relay(org.edge, sink, "one", 30)
    await org.complete()
    with pytest.raises(ConnectionError):
        await relay.turn()
    await org.edge.redis.xtrim(admission.outbox(org.tag), maxlen=0)

    sink.broken = False
    await until_idle(relay)

    assert (sink.of(org), await pending(org)) == ([], 0)


async def test_a_relay_goes_on_after_redis_lost_its_groups(org: Org) -> None:
    sink = Sink()
    relay = Relay(org.edge, sink, "one", 30)
    await until_idle(relay)
    await org.edge.redis.delete(admission.outbox(org.tag))
    request_id = await org.complete()

    with pytest.raises(Exception, match="NOGROUP"):
        await relay.turn()
    await until_idle(relay)

    assert sink.of(org) == [request_id]


async def test_a_relay_that_leaves_takes_its_name_along(org: Org) -> None:
    relay = Relay(org.edge, Sink(), "gone", 30)
    await until_idle(relay)

    await relay.leave()

    consumers = await org.edge.redis.xinfo_consumers(admission.outbox(org.tag), outbox.GROUP)
    assert b"gone" not in [consumer["name"] for consumer in consumers]

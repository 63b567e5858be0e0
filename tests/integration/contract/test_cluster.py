"""The monolith's Edge on a Redis Cluster: every command to its shard, each shard for itself, slots followed."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from ias.billing.ledger import outbox
from ias.contract import admission, keys
from ias.contract.admission import Admitted
from ias.contract.shards import slot_of
from ias.edge import Edge, EdgeDown
from tests.integration.contract.ground import Org
from tests.services import Services
from tests.services.cluster import Cluster, Node, cluster, until
from tests.services.looking import LookingEdge


@pytest.fixture(scope="module")
def trio(services: Services) -> Iterator[Cluster]:
    with cluster(services) as made:
        yield made


@pytest.fixture
async def edge(trio: Cluster) -> AsyncIterator[LookingEdge]:
    for node in trio.masters:
        await asyncio.to_thread(node.service.start)
    edge = LookingEdge(trio.url)
    await asyncio.to_thread(until, lambda: all(node.info()["cluster_state"] == "ok" for node in trio.masters))
    await edge.load_library()
    yield edge
    await edge.close()


async def at(edge: Edge, trio: Cluster, home: Node) -> Org:
    """A whole organisation on this shard."""
    org = Org(edge)
    while trio.home(org.tag) is not home:
        org = Org(edge)
    return await org.whole()


async def test_the_library_is_on_every_shard(edge: Edge, trio: Cluster) -> None:
    for node in trio.masters:
        node.ask("FUNCTION", "FLUSH")
        assert not await edge.library_is_current()
        await edge.load_library()
        assert await edge.library_is_current()
    assert [node.ask(*admission.LIBRARY_VERSION_CALL) for node in trio.masters] == [
        admission.LIBRARY_VERSION.encode()
    ] * 3


async def test_answers_come_in_the_order_of_their_commands(edge: Edge, trio: Cluster) -> None:
    tags = [keys.new_tag() for _ in range(300)]
    assert {trio.home(tag).name for tag in tags} == {node.name for node in trio.masters}
    await edge.calls([("SET", f"{{o:{tag}}}:x", tag) for tag in tags])
    assert await edge.calls([("GET", f"{{o:{tag}}}:x") for tag in tags]) == [tag.encode() for tag in tags]
    for node in trio.masters:
        mine = [tag for tag in tags if trio.home(tag) is node]
        assert [node.ask("GET", f"{{o:{tag}}}:x") for tag in mine] == [tag.encode() for tag in mine]
    await edge.calls([("DEL", f"{{o:{tag}}}:x") for tag in tags])


async def test_keys_of_no_organisation_have_their_shard_too(edge: Edge) -> None:
    counted = await edge.calls([("INCR", f"ias:login:{number}") for number in range(20)])
    assert counted == [1] * 20
    assert await edge.calls([("DEL", f"ias:login:{number}") for number in range(20)]) == [1] * 20


async def test_one_refusal_is_in_its_place_and_hides_no_other(edge: Edge) -> None:
    tags = [keys.new_tag() for _ in range(10)]
    commands = [("SET", f"{{o:{tag}}}:x", 1) for tag in tags] + [("INCR", f"{{o:{tag}}}:x") for tag in tags]
    commands[13] = ("LPUSH", f"{{o:{tags[3]}}}:x", 1)
    answers = await edge.tries(commands)
    assert [place for place, answer in enumerate(answers) if isinstance(answer, Exception)] == [13]
    with pytest.raises(EdgeDown, match="refused"):
        await edge.calls(commands)
    await edge.calls([("DEL", f"{{o:{tag}}}:x") for tag in tags])


async def test_outboxes_of_all_shards_are_read_at_once(edge: Edge, trio: Cluster) -> None:
    orgs = [await at(edge, trio, node) for node in trio.masters for _ in range(2)]
    tags = [org.tag for org in orgs]
    for org in orgs:
        request_id, admitted = await org.held()
        await org.settle(request_id, admitted, 1, 2)
    await outbox.open_groups(edge, tags)
    entries = await outbox.read(edge, "me", tags, outbox.NEW, 10)
    assert sorted(entry.tag for entry in entries) == sorted(tags)
    await outbox.acknowledge(edge, entries)
    assert await outbox.read(edge, "me", tags, outbox.MINE, 10) == []
    await outbox.delete(edge, entries)
    assert await outbox.first(edge, tags, {}, 10) == []


async def test_a_shard_that_is_away_holds_up_no_other(edge: Edge, trio: Cluster) -> None:
    orgs = [await at(edge, trio, node) for node in trio.masters]
    tags = [org.tag for org in orgs]
    assert await edge.reachable(tags) == tags
    trio.masters[0].service.kill()
    try:
        with pytest.raises(EdgeDown):
            await orgs[0].reserve()
        assert await edge.reachable(tags) == tags[1:]
        assert isinstance(await orgs[1].reserve(), Admitted)
        assert isinstance(await orgs[2].reserve(), Admitted)
        assert await edge.library_is_current()
        answers = await edge.tries([admission.standing(tag, "") for tag in tags])
        assert [isinstance(answer, Exception) for answer in answers] == [True, False, False]
    finally:
        trio.masters[0].service.start()
    await asyncio.to_thread(until, lambda: trio.masters[0].info()["cluster_state"] == "ok")
    assert await edge.reachable(tags) == tags
    assert isinstance(await orgs[0].reserve(), Admitted)


async def test_only_the_shard_that_lost_its_data_is_not_whole(edge: Edge, trio: Cluster) -> None:
    await edge.mark_whole()
    assert await edge.whole()
    victim = trio.masters[1]
    await asyncio.to_thread(victim.client.flushall)
    (lost,) = await edge.lost()
    assert lost.name == victim.name
    for _ in range(20):
        tag = keys.new_tag()
        assert lost.holds(tag) == (trio.home(tag) is victim)
    await edge.mark_whole(lost)
    assert await edge.whole()


async def test_a_slot_that_came_without_a_projection_is_not_whole_and_one_that_left_is_forgotten(
    edge: Edge, trio: Cluster
) -> None:
    await edge.mark_whole()
    slot, source, target = 100, trio.masters[0], trio.masters[1]
    await asyncio.to_thread(trio.move, slot, source, target)
    await asyncio.sleep(0.3)  # a map that is younger is not asked for again
    (lost,) = await edge.lost()
    assert (lost.name, lost.spans) == (target.name, ((slot, slot),))
    await edge.mark_whole(lost)
    assert await edge.whole()
    # Were it to come back without its data, nobody could rely on a projection that once was there.
    await asyncio.to_thread(trio.move, slot, target, source)
    await asyncio.sleep(0.3)
    (lost,) = await edge.lost()
    assert (lost.name, lost.spans) == (source.name, ((slot, slot),))
    await edge.mark_whole(lost)


async def test_a_slot_that_has_moved_is_followed(edge: Edge, trio: Cluster) -> None:
    org = await at(edge, trio, trio.masters[0])
    slot = slot_of(org.tag)
    await asyncio.to_thread(trio.move, slot, trio.masters[0], trio.masters[2])
    request_id, admitted = await org.held()
    assert await org.settle(request_id, admitted, 1, 2) == b"ok"
    assert trio.masters[2].client.xlen(admission.outbox(org.tag)) == 1
    await asyncio.to_thread(trio.move, slot, trio.masters[2], trio.masters[0])
    assert len(await org.outbox()) == 1


async def test_a_function_waits_for_the_last_key_and_plain_commands_follow_at_once(edge: Edge, trio: Cluster) -> None:
    org = await at(edge, trio, trio.masters[0])
    request_id, admitted = await org.held()
    await org.settle(request_id, admitted, 1, 2)
    slot, source, target = slot_of(org.tag), *trio.masters[:2]
    trio.begin_move(slot, source, target)
    trio.move_keys(slot, source, target, 3)
    # Some of its keys are here, some are there: each is found, and no function sees half of them.
    assert len(await org.outbox()) == 1
    assert await edge.call(("HGET", f"{{o:{org.tag}}}:org", "st")) == b"active"
    with pytest.raises(EdgeDown):
        await org.reserve()
    assert org.tag not in await edge.reachable([org.tag])

    def finish() -> None:
        time.sleep(0.2)
        while trio.move_keys(slot, source, target, 1):
            time.sleep(0.01)

    moving = asyncio.create_task(asyncio.to_thread(finish))
    assert isinstance(await org.reserve(), Admitted)
    await moving
    trio.end_move(slot, target)
    assert isinstance(await org.reserve(), Admitted)
    assert await org.budget() == (3, 300)
    await asyncio.to_thread(trio.move, slot, target, source)


async def test_a_new_connection_pool_begins_anywhere(trio: Cluster) -> None:
    trio.masters[0].service.kill()
    edge = Edge(trio.url)
    try:
        org = Org(edge)
        while trio.home(org.tag) is trio.masters[0]:
            org = Org(edge)
        assert isinstance(await (await org.whole()).reserve(), Admitted)
    finally:
        await edge.close()
        trio.masters[0].service.start()


async def test_where_no_node_answers_redis_is_down() -> None:
    edge = Edge("redis+cluster://127.0.0.1:9,127.0.0.1:10")
    for call in (edge.whole, edge.library_is_current, lambda: edge.call(("PING",)), lambda: edge.reachable(["x"])):
        with pytest.raises(EdgeDown):
            await call()
    await edge.close()

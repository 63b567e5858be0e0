"""Requests under way of a user are counted while their number is limited, and each gives back what it took."""

import msgspec
import pytest

from ias.contract import admission
from ias.contract.admission import Admitted, OverRate
from tests.integration.contract.ground import USER, Org
from tests.integration.contract.test_edges import told
from tests.integration.contract.test_losses import lose, reassert

ALSO = pytest.mark.parametrize("also", [{}, {"rps": 100, "burst": 100}, {"tpm": 60_000, "utpm": 60_000}], ids=str)


async def under_way(org: Org) -> int | None:
    """What Redis counts of the user; None where it counts nothing."""
    counted = await org.edge.redis.hget(f"{admission.slot(org.tag)}:g", f"l:{USER}")
    return None if counted is None else int(counted)


async def recounted(org: Org) -> object:
    """What of its counts the library finds wrong."""
    return await org.edge.call(("FCALL", "ias_recount", 1, admission.slot(org.tag)))


@ALSO
async def test_without_a_limit_on_it_nobody_is_counted_as_under_way(org: Org, also: dict[str, int]) -> None:
    await org.policy(**also)
    request_id, admitted = await org.held()
    assert await under_way(org) is None
    assert await recounted(org) == []
    await org.settle(request_id, admitted, 10, 5)
    assert await under_way(org) is None
    assert (await told(org, "user"))["concurrency"].used == 0


async def test_where_nothing_is_limited_nothing_is_kept_of_the_moment(org: Org) -> None:
    await org.settle(*(await org.held()), 10, 5)
    assert not await org.edge.redis.exists(f"{admission.slot(org.tag)}:g")
    assert await org.budget() == (15, 0)


@ALSO
async def test_a_limit_that_is_set_later_counts_from_then_on(org: Org, also: dict[str, int]) -> None:
    before = [await org.held() for _ in range(2)]
    await org.policy(uconc=2, **also)
    held = [await org.held() for _ in range(2)]
    assert isinstance(await org.reserve(), OverRate)
    for request_id, admitted in before:
        await org.settle(request_id, admitted, 10, 5)
        assert isinstance(await org.reserve(), OverRate), "what was admitted before gives nothing back"
    assert (await told(org, "user"))["concurrency"].used == await under_way(org) == 2
    await org.settle(*held[0], 10, 5)
    assert isinstance(await org.reserve(), Admitted)


@ALSO
async def test_who_was_counted_gives_the_place_back_though_the_limit_is_gone(org: Org, also: dict[str, int]) -> None:
    await org.policy(uconc=2, **also)
    held = [await org.held() for _ in range(2)]
    await org.policy(**also)
    await org.settle(*held[0], 10, 5)
    assert await recounted(org) == []
    assert (await told(org, "user"))["concurrency"].used == 0, "it is not limited"
    await org.settle(*held[1], 10, 5)
    await org.policy(uconc=1, **also)
    assert await under_way(org) == 0
    assert isinstance(await org.reserve(), Admitted)
    assert isinstance(await org.reserve(), OverRate)


async def test_who_was_not_counted_gives_nothing_back_when_their_lease_lapses(org: Org) -> None:
    await org.held(lease=-1)
    await org.policy(uconc=1)
    await org.held()
    assert await org.edge.call(admission.sweep(org.tag, 10)) == 1
    assert await under_way(org) == 1
    assert isinstance(await org.reserve(), OverRate)


async def test_checkpoints_do_not_change_who_is_counted(org: Org) -> None:
    request_id, admitted = await org.held()
    await org.edge.call(admission.tick(org.tag, 30, [request_id, 1, 1, 0]))
    assert await recounted(org) == []
    await org.settle(request_id, admitted, 10, 5)
    assert await under_way(org) is None


async def test_a_reservation_of_the_release_before_was_counted_and_is_given_back(org: Org) -> None:
    """That release counted everybody, and its reservations do not say so."""
    request_id, admitted = await org.held()
    slot = admission.slot(org.tag)
    record = msgspec.msgpack.decode(await org.edge.redis.get(f"{slot}:r:{request_id}"))
    assert record[15:] == [False, False, 1]
    await org.edge.redis.set(f"{slot}:r:{request_id}", msgspec.msgpack.encode(record[:15]))
    await org.edge.redis.hset(f"{slot}:g", f"l:{USER}", 1)
    assert await recounted(org) == []
    await org.settle(request_id, admitted, 10, 5)
    assert await under_way(org) == 0


async def test_what_is_put_back_after_a_loss_is_counted_for_its_limit_may_be_still_to_come(org: Org) -> None:
    request_id, admitted = await org.held()
    await lose(org, request_id)
    assert await reassert(org, request_id, admitted) == 1
    assert await recounted(org) == []
    await org.policy(uconc=1)
    assert isinstance(await org.reserve(), OverRate)
    await org.settle(request_id, admitted, 10, 5)
    assert isinstance(await org.reserve(), Admitted)

"""What Redis has lost is told, put back, and counted once."""

import time
from datetime import UTC, datetime

from ias.contract import admission
from ias.contract.admission import Admitted, Argument, Ticked
from ias.edge import Edge
from tests.integration.contract.ground import KEY, ORG, USER, Org


def record(org: Org, admitted: Admitted, *tokens: int, streamed: bool = True) -> list[Argument]:
    """What a gateway knows of a request under way."""
    held = (admitted.held, admitted.period, admitted.user, admitted.output, *(*tokens, 0, 0, 0)[:3])
    route = (KEY, org.record.fingerprint, "llama", ORG, "/v1/chat/completions", int(streamed))
    return [*held, *route, int(time.time() * 1_000_000)]


async def reassert(org: Org, request_id: str, admitted: Admitted, *tokens: int, lease: int = 30) -> object:
    call = admission.reassert(org.tag, request_id, record(org, admitted, *tokens), ("gw", lease))
    return await org.edge.call(call)


async def ticked(org: Org, *checkpoints: Argument) -> Ticked:
    return admission.read_tick(await org.edge.call(admission.tick(org.tag, 30, checkpoints)))


async def lose(org: Org, *requests: str) -> None:
    """Let Redis forget these requests, what is held, and who is under way."""
    slot = admission.slot(org.tag)
    period = f"{datetime.now(UTC):%Y%m}"
    names = [f"{slot}:{part}" for part in ("resv", "g", f"bud:{period}", "out", *(f"r:{one}" for one in requests))]
    await org.edge.redis.delete(*names)


async def test_a_request_that_redis_lost_is_put_back_as_it_was(org: Org) -> None:
    await org.policy(tokens=10_000, conc=1, uconc=1)
    request_id, admitted = await org.held()
    slot = admission.slot(org.tag)
    before = await org.edge.redis.get(f"{slot}:r:{request_id}")
    await lose(org, request_id)
    assert (await ticked(org, request_id, 0, 0, 0)).marks == ((request_id, "unknown"),)

    assert await reassert(org, request_id, admitted) == 1

    after = await org.edge.redis.get(f"{slot}:r:{request_id}")
    assert after is not None
    assert len(after) == len(before)
    assert await org.budget() == (0, 150)
    assert (await ticked(org, request_id, 5, 5, 0)).marks == ()
    refused = await org.reserve()
    assert isinstance(refused, admission.OverRate)
    assert refused.kind == "concurrency"
    assert await org.settle(request_id, admitted, 10, 5) == b"ok"
    assert await org.budget() == (15, 0)
    assert [(line["l"], line["pt"], line["ct"]) for line in await org.outbox()] == [("1", "10", "5")]
    assert isinstance(await org.reserve(), Admitted)


async def test_what_was_put_back_counts_against_a_strict_budget(org: Org) -> None:
    await org.policy(tokens=300)
    request_id, admitted = await org.held()
    await lose(org, request_id)
    await reassert(org, request_id, admitted)
    assert isinstance(await org.reserve(prompt=140, output=20), admission.OverBudget)


async def test_putting_back_changes_nothing_that_is_known(org: Org) -> None:
    request_id, admitted = await org.held()
    assert await reassert(org, request_id, admitted, 1, 1) == 0
    assert await org.budget() == (0, 150)
    await org.settle(request_id, admitted, 10, 5)
    assert await reassert(org, request_id, admitted, 10, 5) == 0
    assert await org.budget() == (15, 0)
    assert (await ticked(org, request_id, 10, 5, 0)).marks == ((request_id, "swept"),)


async def test_what_was_put_back_is_swept_from_its_last_tokens(org: Org) -> None:
    request_id, admitted = await org.held()
    await lose(org, request_id)
    await reassert(org, request_id, admitted, 7, 3, lease=-1)
    assert await org.edge.call(admission.sweep(org.tag, 10)) == 1
    (line,) = await org.outbox()
    assert (line["pt"], line["ct"], line["o"]) == ("7", "3", "gateway_lost")
    assert f'"user":"{USER}"' in line["f"]


async def test_the_epoch_stays_until_all_is_lost(org: Org) -> None:
    first = await ticked(org)
    assert first.lost
    assert abs(first.epoch_ms / 1000 - time.time()) < 60
    request_id, admitted = await org.held()
    await org.settle(request_id, admitted, 1, 1)
    await org.policy(tokens=5)
    again = await ticked(org)
    assert (again.epoch, again.lost) == (first.epoch, False)


async def test_a_loss_shows_though_a_settlement_has_made_the_outbox_anew(org: Org) -> None:
    before = await ticked(org)
    request_id, admitted = await org.held()
    await lose(org, request_id)
    await org.edge.redis.delete(f"{admission.slot(org.tag)}:v")
    await org.settle(request_id, admitted, 1, 1)
    after = await ticked(org)
    assert not after.lost
    assert after.epoch != before.epoch


async def test_a_restored_month_is_what_the_books_say_and_not_more(edge: Edge) -> None:
    org = Org(edge)
    admitted = Admitted(ORG, USER, KEY, b"{}", f"{datetime.now(UTC):%Y%m}", 50, 150, *[admission.Rate(-1, -1, 0)] * 2)
    await org.settle("sent-again", admitted, 20, 10)
    assert await edge.call(admission.restore(org.tag, admitted.period, 0, 100, {f"u:{USER}": 100})) == -1
    assert await edge.call(admission.restore(org.tag, admitted.period, 30, 100, {f"u:{USER}": 100})) == 1
    await org.whole()
    assert await org.budget() == (100, 0)


async def test_what_is_over_is_not_under_way_whatever_brought_it_back(org: Org) -> None:
    request_id, admitted = await org.held()
    await org.settle(request_id, admitted, 1, 1)
    for again in (org.settle(request_id, admitted, 1, 1), org.edge.call(admission.sweep(org.tag, 10))):
        await org.edge.redis.zadd(f"{admission.slot(org.tag)}:resv", {request_id: 1})
        await again
        assert await org.edge.redis.zcard(f"{admission.slot(org.tag)}:resv") == 0
    assert await org.edge.call(admission.sweep(org.tag, 10)) == 0


async def test_what_was_lost_again_before_it_was_complete_is_not_complete(edge: Edge) -> None:
    org = Org(edge)
    assert await edge.call(admission.complete(org.tag)) == 0
    assert await org.reserve() == admission.NotReady(unknown_org=True)
    await org.whole()
    assert isinstance(await org.reserve(), Admitted)

"""The minute check on real Redis and PostgreSQL: what differs is found exactly, under load too, and made right."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec
import pytest

from ias.analytics import doors as analytics
from ias.billing.check.queries import checks, drifts
from ias.billing.doors import INTAKE, Other, check, clear, settled
from ias.billing.ledger.domain import event_of
from ias.contract import admission, books
from ias.contract.admission import Admitted, Command, text
from ias.contract.usage import UsageRecorded
from ias.db import uuid7
from ias.edge import Edge
from ias.intake import Reject, take_in
from tests.integration.billing.ground import Ground, Org, opened
from tests.integration.billing.test_clock import book
from tests.services import Services

OTHER = Other(analytics.seen, analytics.totals)


@pytest.fixture
async def ground(world: Services, migrated: str) -> AsyncIterator[Ground]:
    """A database of the test's own, for a check looks at every organisation."""
    with world.database(migrated) as url:
        async with opened(url, world.redis_url) as ground:
            yield ground


async def once(org: Org) -> tuple[int, int, int]:
    """One check; answers by how many tokens use, held and analytics were wrong."""
    assert await check(org.edge, OTHER, 0, 0) == 0
    found = await checks()
    return found["used"].tokens, found["held"].tokens, found["analytics"].tokens


async def standing(org: Org) -> list[int]:
    """Used and held of the organisation, used and held of its member."""
    return [int(text(part)) for part in (await org.edge.standing(org.tag, str(org.user)))[2:6]]


async def month(org: Org) -> str:
    return f"{admission.slot(org.tag)}:bud:{text((await org.edge.standing(org.tag, ''))[0])}"


async def audited(ground: Ground, org: Org, action: str) -> list[dict[str, dict[str, object]]]:
    rows = await ground.owner.fetch(
        "SELECT before, after, actor, source FROM identity.audit_log WHERE org_id = $1 AND action = $2 ORDER BY id",
        *(org.id, action),
    )
    assert all((row["actor"], row["source"]) == ("system", "system") for row in rows)
    return [{side: msgspec.json.decode(row[side]) for side in ("before", "after")} for row in rows]


async def both(org: Org) -> None:
    """Book and count what is in the outbox."""
    await book(org)
    entries = await org.edge.redis.xrange(admission.outbox(org.tag))
    events = [event_of(fields, int(entry.split(b"-")[0])) for entry, fields in entries]
    await take_in(analytics.INTAKE, events)


async def test_nothing_differs_wherever_settlements_are_on_their_way(ground: Ground, org: Org) -> None:
    await org.complete()
    assert await once(org) == (0, 0, 0)
    await both(org)
    assert await once(org) == (0, 0, 0)
    await org.complete()
    await org.reserve()
    assert await once(org) == (0, 0, 0)
    await both(org)
    await clear(org.edge, [settled, analytics.settled])
    await org.complete()
    assert await once(org) == (0, 0, 0)
    assert await audited(ground, org, "use.repaired") == []


async def test_a_difference_that_stays_is_repaired_at_the_second_check_and_audited(ground: Ground, org: Org) -> None:
    await org.complete((10, 5, 0))
    await both(org)
    await org.edge.redis.hincrby(await month(org), "used", 1000)
    await org.edge.redis.hincrby(await month(org), f"u:{org.user}", -7)

    assert await once(org) == (1000, 0, 0)
    assert await standing(org) == [1015, 0, 8, 0]
    assert list((await drifts("used")).values()) == [{"used": -1000, f"u:{org.user}": 7}]
    assert await once(org) == (1000, 0, 0)

    assert await standing(org) == [15, 0, 15, 0]
    [entry] = await audited(ground, org, "use.repaired")
    assert entry["before"].items() >= {"used": 1015, f"u:{org.user}": 8}.items()
    assert entry["after"].items() >= {"used": 15, f"u:{org.user}": 15}.items()
    assert await once(org) == (0, 0, 0)
    assert await drifts("used") == {}


async def test_a_difference_that_changes_is_not_repaired_before_it_stays(org: Org) -> None:
    await org.complete((10, 5, 0))
    for _ in range(3):
        await org.edge.redis.hincrby(await month(org), "used", 100)
        await once(org)
    assert (await standing(org))[0] == 315

    await once(org)

    assert (await standing(org))[0] == 15


async def test_what_redis_lost_of_a_month_is_put_back(org: Org) -> None:
    for _ in range(3):
        await org.complete((10, 5, 0))
    await book(org)
    await org.edge.redis.delete(await month(org))
    await org.complete((10, 5, 0))

    await once(org)
    await once(org)

    assert await standing(org) == [60, 0, 60, 0]
    assert await org.edge.call(admission.restore(org.tag, (await month(org))[-6:], 0, 60, {})) == 0


async def test_an_organisation_whose_projection_is_not_complete_is_left_to_the_rebuild(org: Org) -> None:
    await org.complete((10, 5, 0))
    await book(org)
    await org.edge.redis.delete(await month(org))
    await org.edge.redis.hdel(f"{admission.slot(org.tag)}:v", "complete")

    assert await once(org) == (0, 0, 0)


async def test_no_repair_is_made_where_counting_began_anew_meanwhile(org: Org) -> None:
    await org.complete((10, 5, 0))
    before = books.read_books(await org.edge.call(books.books(org.tag))).months[0]
    await org.edge.redis.delete(await month(org))
    await org.complete((10, 5, 0))
    await org.edge.redis.hset(await month(org), "base", 15)

    assert await org.edge.call(books.repair(org.tag, before, {"used": 100})) == 0
    assert (await standing(org))[0] == 15
    now = books.read_books(await org.edge.call(books.books(org.tag))).months[0]
    assert await org.edge.call(books.repair(org.tag, now, {"used": 100})) == 1
    assert await org.edge.call(books.repair(org.tag, now, {"used": 100})) == 0
    assert (await standing(org))[0] == 115


async def test_under_load_a_check_finds_nothing_and_a_repair_is_exact(org: Org) -> None:
    stop = asyncio.Event()

    async def load() -> int:
        count = 0
        while not stop.is_set():
            await org.complete((10, 5, 0))
            count += 1
            await asyncio.sleep(0.02)  # its rate is limited
        return count

    async def booking() -> None:
        while not stop.is_set():
            await both(org)

    async with asyncio.TaskGroup() as group:
        loads = [group.create_task(load()) for _ in range(4)]
        group.create_task(booking())
        for _ in range(5):
            assert await once(org) == (0, 0, 0)
            async with asyncio.timeout(60):
                await clear(org.edge, [settled, analytics.settled])
        await org.edge.redis.hincrby(await month(org), "used", -40)
        assert [(await once(org))[0] for _ in range(3)] == [40, 40, 0]
        stop.set()
    assert (await standing(org))[0] == 15 * sum(task.result() for task in loads)


class Racing(Edge):
    """Redis, where something happens before and after each read."""

    def __init__(self, url: str, meanwhile: Callable[[], Awaitable[object]]) -> None:
        super().__init__(url)
        self._meanwhile = meanwhile

    async def calls(self, commands: Sequence[Command]) -> list[object]:
        await self._meanwhile()
        answers = await super().calls(commands)
        await self._meanwhile()
        return answers


async def test_what_is_settled_and_booked_between_the_reads_is_on_both_sides(world: Services, org: Org) -> None:
    async def meanwhile() -> None:
        await org.complete((10, 5, 0))
        await both(org)

    racing = Racing(world.redis_url, meanwhile)
    try:
        for _ in range(2):
            await check(racing, OTHER, 0, 0)
            assert [found.tokens for found in (await checks()).values()] == [0, 0, 0]
    finally:
        await racing.close()


async def test_what_is_set_aside_may_be_counted_or_not(ground: Ground, org: Org) -> None:
    """Until it is replayed nobody knows: the budget keeps it, and no phantom is made of it."""
    await org.complete((10, 5, 0))
    [(entry, fields)] = await org.edge.redis.xrange(admission.outbox(org.tag))
    event = event_of(fields, int(entry.split(b"-")[0]))
    foreign = UsageRecorded(**{**msgspec.structs.asdict(event), "request_id": uuid7(), "completion_tokens": 10**9})
    unknown = UsageRecorded(**{**msgspec.structs.asdict(event), "version": 99})
    await INTAKE.quarantine([reject_of(unknown), reject_of(foreign)])
    await org.edge.redis.xtrim(admission.outbox(org.tag), maxlen=0)

    assert await once(org) == (0, 0, 0)
    assert await once(org) == (0, 0, 0)

    assert (await standing(org))[0] == 15
    await ground.owner.execute("UPDATE billing.quarantine SET replayed_at = now()")
    await once(org)
    await once(org)
    assert (await standing(org))[0] == 0


def reject_of(event: UsageRecorded) -> Reject:
    return Reject.of(event, "a test's")


async def test_held_tokens_are_what_live_reservations_say(ground: Ground, org: Org) -> None:
    for _ in range(2):
        assert isinstance((await org.reserve())[1], Admitted)
    g = f"{admission.slot(org.tag)}:g"
    await org.edge.redis.hincrby(await month(org), "resv", 500)
    await org.edge.redis.hset(await month(org), "r:somebody", 77)
    await org.edge.redis.hincrby(g, f"l:{org.user}", 3)
    held = await standing(org)

    assert await once(org) == (0, 500, 0)

    assert await standing(org) == [0, held[1] - 500, 0, held[3]]
    assert await org.edge.redis.hget(g, f"l:{org.user}") == b"2"
    assert await org.edge.redis.hget(await month(org), "r:somebody") == b"0"
    [entry] = await audited(ground, org, "reservations.recounted")
    assert entry["after"][f"live l:{org.user}"] == 2
    assert await once(org) == (0, 0, 0)


async def test_what_is_held_and_was_lost_is_found_again(org: Org) -> None:
    request_id, admitted = await org.reserve()
    assert isinstance(admitted, Admitted)
    held = await standing(org)
    await org.edge.redis.hset(await month(org), mapping={"resv": 0, f"r:{org.user}": 0})

    await once(org)

    assert await standing(org) == held
    await org.settle(request_id, (10, 5, 0), admitted)
    assert await standing(org) == [15, 0, 15, 0]


async def test_analytics_totals_are_compared_as_if_it_had_caught_up(ground: Ground, org: Org) -> None:
    for _ in range(4):
        await org.complete((10, 5, 0))
    await book(org)
    assert await once(org) == (0, 0, 0)
    assert (await checks())["analytics"].oldest_open is not None
    await both(org)
    assert await once(org) == (0, 0, 0)
    assert (await checks())["analytics"].oldest_open is None

    await ground.owner.execute("UPDATE analytics.org_daily SET completion_tokens = completion_tokens - 3, requests = 3")

    assert await once(org) == (0, 0, 3)
    assert await drifts("analytics") == {(org.id, ""): {"tokens": 3, "requests": 1}}


async def test_the_next_check_is_not_before_its_time(org: Org) -> None:
    await check(org.edge, OTHER, 0, 0)
    before = await checks()

    rest = await check(org.edge, OTHER, 1000, 1000)

    assert 0 < rest <= 1000
    assert await checks() == before


async def test_after_a_check_that_took_long_the_worker_is_left_to_its_work(ground: Ground, org: Org) -> None:
    await check(org.edge, OTHER, 0, 0)
    await ground.owner.execute("UPDATE billing.checks SET took_s = 500")

    assert 60 < await check(org.edge, OTHER, 1, 1) <= 1000


async def test_a_long_outbox_is_summed_up_to_its_end(ground: Ground, org: Org) -> None:
    admitted = (await org.reserve())[1]
    assert isinstance(admitted, Admitted)
    for _ in range(1100):
        await org.settle((await org.reserve())[0], (1, 1, 0), admitted)

    assert await once(org) == (0, 0, 0)

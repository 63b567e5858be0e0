"""Booking usage on real PostgreSQL: each line once, priced, summed."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import asyncpg
import msgspec
import pytest

from ias.billing.doors import INTAKE
from ias.billing.ledger.actions import record
from ias.billing.ledger.clock import open_periods
from ias.billing.ledger.queries import settled, used
from ias.contract.usage import Outcome, UsageRecorded
from ias.db import EVERYWHERE, Within, transaction, uuid7
from ias.intake import take_in
from tests.integration.billing.ground import Ground, Org

MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def events(org: Org, count: int, **changes: object) -> list[UsageRecorded]:
    fields: dict[str, object] = {
        "line": 1,
        "period": "202601",
        "organisation": org.id,
        "user": org.user,
        "key": org.key,
        "model": org.model_name,
        "model_id": org.model,
        "endpoint": "chat",
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "cached_tokens": 60,
        "outcome": Outcome.COMPLETED,
        "started_at": MOMENT,
        "settled_at": MOMENT,
    }
    return [UsageRecorded(request_id=uuid7(), **(fields | changes)) for _ in range(count)]


async def sums(ground: Ground, org: Org) -> tuple[object, ...]:
    """Requests, prompt, completion, cached tokens and cost of the ledger's lines, which both sums must equal."""
    [lines] = await ground.rows(
        """SELECT count(*) FILTER (WHERE line = 1), sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens),
        sum(cost) FROM billing.ledger_lines WHERE org_id = $1""",
        org.id,
    )
    [spend] = await ground.rows(
        """SELECT sum(requests), sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), sum(cost)
        FROM billing.spend WHERE org_id = $1""",
        org.id,
    )
    [whole] = await ground.rows(
        """SELECT sum(requests), sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), sum(cost)
        FROM billing.org_spend WHERE org_id = $1""",
        org.id,
    )
    assert lines == spend == whole
    return lines


async def quarantined(ground: Ground, batch: Sequence[UsageRecorded]) -> list[tuple[object, ...]]:
    ids = [event.request_id for event in batch]
    return await ground.rows("SELECT request_id, reason FROM billing.quarantine WHERE request_id = ANY($1)", ids)


async def test_the_same_batch_twice_gives_each_row_once(ground: Ground, org: Org) -> None:
    batch = events(org, 50)

    await take_in(INTAKE, batch)
    await take_in(INTAKE, batch)

    assert await sums(ground, org) == (50, 5000, 500, 3000, Decimal("2.05"))
    assert await quarantined(ground, batch) == []


async def test_the_same_batches_at_the_same_time_give_each_row_once(ground: Ground, org: Org) -> None:
    batch = events(org, 60)

    await asyncio.gather(*(take_in(INTAKE, part) for part in (batch, batch[::-1], batch[20:], batch[:40])))

    assert (await sums(ground, org))[0] == 60


async def test_an_event_twice_in_one_batch_gives_one_row(ground: Ground, org: Org) -> None:
    [event] = events(org, 1)

    await take_in(INTAKE, [event, event])

    assert (await sums(ground, org))[0] == 1
    assert await quarantined(ground, [event]) == []


async def test_of_a_batch_that_is_there_in_part_only_the_rest_is_added(ground: Ground, org: Org) -> None:
    batch = events(org, 30)
    await take_in(INTAKE, batch[:10])
    forged = msgspec.structs.replace(batch[3], completion_tokens=999)

    await take_in(INTAKE, [*batch, forged, *batch[25:]])

    assert await sums(ground, org) == (30, 3000, 300, 1800, Decimal("1.23"))
    assert len(await quarantined(ground, batch)) == 1


async def test_another_body_under_the_same_id_goes_to_quarantine_and_changes_nothing(ground: Ground, org: Org) -> None:
    batch = events(org, 2)
    await take_in(INTAKE, batch)
    forged = msgspec.structs.replace(batch[0], completion_tokens=999)

    await take_in(INTAKE, [forged, *events(org, 1)])
    await take_in(INTAKE, [forged])

    assert (await sums(ground, org))[:3] == (3, 300, 30)
    [(request_id, reason)] = await quarantined(ground, batch)
    assert request_id == forged.request_id
    assert "another body" in str(reason)


async def test_two_bodies_in_one_batch_keep_the_first_and_set_the_other_aside(ground: Ground, org: Org) -> None:
    [event] = events(org, 1)
    other = msgspec.structs.replace(event, completion_tokens=999)

    await take_in(INTAKE, [event, other])

    assert (await sums(ground, org))[2] == 10
    assert len(await quarantined(ground, [event])) == 1


async def test_negative_tokens_on_line_1_are_set_aside_and_the_others_booked(ground: Ground, org: Org) -> None:
    good, bad = events(org, 1), events(org, 1, completion_tokens=-1)

    await take_in(INTAKE, [*good, *bad])

    assert (await sums(ground, org))[0] == 1
    assert [row[0] for row in await quarantined(ground, bad)] == [bad[0].request_id]


async def test_what_only_postgresql_refuses_is_set_aside_alone(ground: Ground, org: Org) -> None:
    batch = events(org, 9)
    batch[4] = msgspec.structs.replace(batch[4], status=2**31)

    await take_in(INTAKE, batch)

    assert (await sums(ground, org))[0] == 8
    assert [row[0] for row in await quarantined(ground, batch)] == [batch[4].request_id]


async def test_an_adjustment_changes_the_sums_but_not_the_number_of_requests(ground: Ground, org: Org) -> None:
    [event] = events(org, 1)
    [change] = events(org, 1, line=2, prompt_tokens=0, cached_tokens=0, completion_tokens=-4)
    change = msgspec.structs.replace(change, request_id=event.request_id)

    await take_in(INTAKE, [event, change])

    assert await sums(ground, org) == (1, 100, 6, 60, Decimal("0.035"))


async def test_the_cost_is_by_the_rate_that_was_valid_when_the_request_started(ground: Ground, org: Org) -> None:
    await ground.owner.execute(
        """INSERT INTO billing.rates (model_id, valid_from, input, output, cached_input)
        VALUES ($1, '2026-01-31 13:00+00', 5, 15, 1)""",
        org.model,
    )

    await take_in(INTAKE, events(org, 1))
    await take_in(INTAKE, events(org, 1, started_at=datetime(2026, 1, 31, 13, tzinfo=UTC)))

    costs = await ground.rows("SELECT cost FROM billing.ledger_lines WHERE org_id = $1 ORDER BY cost", org.id)
    assert costs == [(Decimal("0.041"),), (Decimal("0.41"),)]


async def test_a_model_that_the_catalogue_does_not_know_is_booked_free_of_charge(ground: Ground, org: Org) -> None:
    await take_in(INTAKE, events(org, 1, model_id=UUID(int=7)))

    [row] = await ground.rows("SELECT cost, rate_id FROM billing.ledger_lines WHERE org_id = $1", org.id)
    assert row == (0, None)


async def test_a_month_without_a_partition_gets_one_on_demand(ground: Ground, org: Org) -> None:
    batches = [events(org, 2, period="203107"), events(org, 2, period="203107")]

    await asyncio.gather(*(take_in(INTAKE, batch) for batch in batches))

    assert await ground.value("SELECT count(*) FROM billing.ledger_lines_203107 WHERE org_id = $1", org.id) == 4


async def test_the_next_months_partitions_are_made_ahead(ground: Ground) -> None:
    await open_periods()

    names = await ground.rows(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'billing.ledger_lines'::regclass"
    )
    assert len(names) >= 3


async def test_the_application_cannot_make_partitions_that_are_no_months(ground: Ground) -> None:
    with pytest.raises(asyncpg.DataError):
        async with transaction(EVERYWHERE) as connection:
            await connection.execute("SELECT billing.open_period('202613')")


async def test_what_is_booked_or_set_aside_is_settled_for_the_outbox(ground: Ground, org: Org) -> None:
    good, bad, unknown = events(org, 1), events(org, 1, completion_tokens=-1), events(org, 1)
    await take_in(INTAKE, [*good, *bad])

    places = [(event.request_id, event.line) for event in (*good, *bad, *unknown)]

    assert await settled(places) == set(places[:2])


async def test_what_members_used_in_a_month_is_summed_by_the_ledger(ground: Ground, org: Org) -> None:
    await take_in(INTAKE, [*events(org, 2), *events(org, 1, period="202602")])

    assert await used(org.id, "202601") == {org.user: 220}


async def test_an_organisation_sees_its_own_lines_only(ground: Ground, org: Org) -> None:
    other = await ground.organisation()
    await take_in(INTAKE, [*events(org, 2), *events(other, 3)])

    for table in ("ledger_lines", "spend"):
        async with transaction(Within(org.id)) as connection:
            seen = await connection.fetch(f"SELECT DISTINCT org_id FROM billing.{table}")
        assert [row["org_id"] for row in seen] == [org.id]


async def test_the_application_can_change_no_line(ground: Ground, org: Org) -> None:
    await record(events(org, 1))

    for sql in (
        "UPDATE billing.ledger_lines SET cost = 0",
        "DELETE FROM billing.ledger_lines",
        "DELETE FROM billing.spend",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with transaction(EVERYWHERE) as connection:
                await connection.execute(sql)

"""`ias usage quarantine` and `ias usage replay`: what was set aside is put back, or stays with its new reason."""

from collections.abc import Sequence
from uuid import UUID

import msgspec
from aio_pika import Message

from ias.analytics.doors import INTAKE as USAGE
from ias.billing.doors import INTAKE as LEDGER
from ias.bus import dead_letters
from ias.contract import admission
from ias.contract.usage import ANALYTICS_QUEUE, LEDGER_QUEUE, UsageRecorded, encode_batch
from ias.intake import Reject, take_in
from tests.integration.billing.ground import Org
from tests.integration.billing.test_ledger import events
from tests.integration.worker.doctors import command
from tests.integration.worker.place import Place, until
from tests.integration.worker.test_queue import channel, publish, waiting

QUEUES = (LEDGER_QUEUE, ANALYTICS_QUEUE)
INTAKES = {"billing": LEDGER, "analytics": USAGE}


async def listed(place: Place) -> list[dict[str, object]]:
    done = await command(place.environment(), "usage", "quarantine", "--json")
    assert done.returncode == 0, done.stderr
    return msgspec.json.decode(done.stdout)


async def replay(place: Place, *which: str) -> tuple[int, list[dict[str, object]]]:
    """Exit code, and what is said to have happened."""
    done = await command(place.environment(), "usage", "replay", "--json", *which)
    assert done.returncode in {0, 1}, done.stderr
    return done.returncode, [msgspec.json.decode(line) for line in done.stdout.splitlines()]


async def set_aside(bodies: Sequence[bytes], reason: str = "of an earlier release") -> None:
    for intake in INTAKES.values():
        await intake.quarantine([Reject(reason=reason, body=body) for body in bodies])


async def lines(place: Place, batch: Sequence[UsageRecorded]) -> list[int]:
    """How many rows ledger and analytics have of these."""
    ids = [event.request_id for event in batch]
    tables = ("billing.ledger_lines", "analytics.usage_events")
    sql = "SELECT count(*) FROM {} WHERE request_id = ANY($1)"
    return [int(str(await place.ground.value(sql.format(table), ids))) for table in tables]


async def open_reasons(place: Place, schema: str = "billing") -> list[str]:
    rows = await place.ground.rows(f"SELECT reason FROM {schema}.quarantine WHERE replayed_at IS NULL ORDER BY id")
    return [str(row[0]) for row in rows]


async def test_nothing_is_listed_where_nothing_is_set_aside(place: Place) -> None:
    assert await listed(place) == []
    assert (await command(place.environment(), "usage", "quarantine")).stdout.strip() == "nothing is set aside"


async def test_what_a_newer_release_can_read_is_taken_in_once_by_each_consumer(place: Place, org: Org) -> None:
    """A batch, and an event that was kept without the batch around it; the second time there is nothing to do."""
    whole, single = events(org, 3), events(org, 1)
    await set_aside([encode_batch(whole), msgspec.json.encode(single[0])])
    await take_in(LEDGER, whole[:1])
    rows = await listed(place)
    assert {(row["consumer"], row["reason"]) for row in rows} == {
        ("ledger", "of an earlier release"),
        ("usage", "of an earlier release"),
    }

    code, outcomes = await replay(place, "--all")

    assert code == 0
    assert {outcome["id"] for outcome in outcomes} == {row["id"] for row in rows}
    assert {outcome["said"] for outcome in outcomes} == {"taken in: 3 events", "taken in: 1 event"}
    assert await lines(place, [*whole, *single]) == [4, 4]
    assert await listed(place) == []
    assert await replay(place, "--all") == (0, [])


async def test_what_is_still_bad_stays_with_the_new_reason(place: Place, org: Org) -> None:
    known = events(org, 1)
    for intake in INTAKES.values():
        await take_in(intake, known)
    other = msgspec.structs.replace(known[0], completion_tokens=99)
    newer = msgspec.structs.replace(events(org, 1)[0], version=99)
    bodies = [
        encode_batch([other]),
        msgspec.json.encode(newer),
        encode_batch(events(org, 1, completion_tokens=-1)),
        b'{"schema": "unheard of"}',
        b"no batch at all",
    ]
    await set_aside(bodies, "an old reason")

    code, outcomes = await replay(place, "--all")

    assert code == 1
    assert [outcome["left"] for outcome in outcomes] == [1] * 10
    for schema, contradiction in (("billing", "the ledger has another body"), ("analytics", "another body was taken")):
        reasons = await open_reasons(place, schema)
        starts = (contradiction, "version 99 is unknown", "line 1 has negative tokens", "not an event", "not a batch")
        assert [reason.startswith(start) for reason, start in zip(reasons, starts, strict=True)] == [True] * 5
        kept = await place.ground.rows(f"SELECT body FROM {schema}.quarantine ORDER BY id")
        assert [row[0] for row in kept] == bodies
    assert await lines(place, known) == [1, 1]


async def test_the_good_part_of_a_batch_is_taken_in_and_the_bad_part_stays(place: Place, org: Org) -> None:
    good, bad = events(org, 2), events(org, 2, completion_tokens=-1)
    await set_aside([encode_batch([*good, *bad])])

    code, outcomes = await replay(place, "--all")

    assert code == 1
    assert outcomes[0]["said"] == "taken in: 2 events; set aside: 2, line 1 has negative tokens"
    assert await lines(place, good) == [2, 2]
    rows = await place.ground.rows("SELECT request_id FROM billing.quarantine WHERE replayed_at IS NULL")
    assert {row[0] for row in rows} == {event.request_id for event in bad}


async def test_one_row_is_put_back_by_its_id_and_an_unknown_id_is_said(place: Place, org: Org) -> None:
    first, second = events(org, 1), events(org, 1)
    await set_aside([encode_batch(first), encode_batch(second)])
    wanted = next(str(row["id"]) for row in await listed(place) if row["consumer"] == "ledger")
    nobody = str(UUID(int=7))

    done = await command(place.environment(), "usage", "replay", wanted, nobody)

    assert done.returncode == 1
    assert "taken in: 1 event" in done.stdout
    assert f"{nobody}: is not in quarantine" in done.stderr
    assert (await lines(place, first), await lines(place, second)) == ([1, 0], [0, 0])
    assert (await command(place.environment(), "usage", "replay")).returncode == 2


async def test_what_comes_again_after_it_was_put_back_is_set_aside_again(place: Place, org: Org) -> None:
    await set_aside([b"poison"])
    await place.ground.owner.execute("UPDATE billing.quarantine SET replayed_at = now()")

    await LEDGER.quarantine([Reject(reason="again", body=b"poison")])

    assert await open_reasons(place) == ["again"]


async def test_an_outbox_entry_that_had_no_event_in_it_is_given_to_both_consumers(place: Place, org: Org) -> None:
    request_id = await org.complete()
    [(entry, fields)] = await org.edge.redis.xrange(admission.outbox(org.tag))
    told = {name.decode(): value.decode() for name, value in fields.items()}
    body = msgspec.json.encode({"outbox": org.tag, "entry": entry.decode(), "fields": told})
    broken = msgspec.json.encode({"outbox": org.tag, "entry": entry.decode(), "fields": {**told, "f": "{}"}})
    await LEDGER.quarantine([Reject(reason="a bug", body=body, origin="outbox")])
    await LEDGER.quarantine([Reject(reason="a bug", body=broken, origin="outbox")])

    code, outcomes = await replay(place, "--all")

    assert code == 1
    assert [outcome["left"] for outcome in outcomes] == [0, 1]
    rows = await place.ground.rows("SELECT request_id::text FROM billing.ledger_lines WHERE org_id = $1", org.id)
    assert rows == [(request_id,)]
    assert await place.ground.value("SELECT count(*) FROM analytics.usage_events WHERE org_id = $1", org.id) == 1
    assert "missing required field" in (await open_reasons(place))[0]


async def test_dismissed_rows_stay_in_the_table_and_are_no_longer_listed(place: Place) -> None:
    await set_aside([b"forged"])
    ids = [str(row["id"]) for row in await listed(place)]

    done = await command(place.environment(), "usage", "dismiss", "--because", "it was forged", *ids)

    assert done.stdout == "dismissed 2 of 2\n"
    assert await listed(place) == []
    reason = await place.ground.value("SELECT reason FROM billing.quarantine")
    assert reason == "dismissed, it was forged: of an earlier release"
    assert (await command(place.environment(), "usage", "dismiss", "--because", "x", *ids)).returncode == 1


async def test_dead_letters_are_taken_in_or_set_aside_and_the_queues_end_empty(queued: Place) -> None:
    org = await queued.ground.organisation()
    good, bad = events(org, 3), events(org, 1, completion_tokens=-1)
    with queued.worker():
        await publish(queued.amqp_url, b"no batch at all")

        async def dead() -> bool:
            return [await waiting(queued.amqp_url, dead_letters(queue)) for queue in QUEUES] == [1, 1]

        await until(dead)
    async with channel(queued.amqp_url) as mine:
        for queue in QUEUES:
            # As the broker does with what was delivered too often.
            await mine.default_exchange.publish(Message(encode_batch([*good, *bad])), dead_letters(queue))

    code, outcomes = await replay(queued, "--all")

    assert code == 1
    dead_outcomes = [outcome for outcome in outcomes if outcome["id"] is None]
    assert [outcome["left"] for outcome in dead_outcomes] == [1, 1, 1, 1]
    assert [await waiting(queued.amqp_url, dead_letters(queue)) for queue in QUEUES] == [0, 0]
    assert await lines(queued, good) == [3, 3]
    for schema in INTAKES:
        reasons = await open_reasons(queued, schema)
        assert sorted(reason.partition(":")[0] for reason in reasons) == ["line 1 has negative tokens", "not a batch"]


async def test_a_broker_that_is_away_is_said_and_nothing_is_lost(queued: Place) -> None:
    org = await queued.ground.organisation()
    batch = events(org, 1)
    await set_aside([encode_batch(batch)])

    done = await command(queued.environment() | {"IAS_AMQP_URL": "amqp://127.0.0.1:1/"}, "usage", "replay", "--all")

    assert done.returncode == 9
    assert "RabbitMQ does not answer" in done.stderr
    assert await lines(queued, batch) == [1, 1]

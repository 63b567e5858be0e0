"""What engines count, read through Redis, kept by the day, and held against what was charged."""

import csv
import io
from datetime import UTC, date, datetime, timedelta

import msgspec
import pytest
from prometheus_client import REGISTRY

from ias.analytics.doors import INTAKE, collect
from ias.analytics.engines import clock
from ias.contract import readings
from ias.contract.readings import Reading
from ias.contract.usage import Outcome
from ias.db import uuid7
from ias.intake import take_in
from ias.telemetry import now
from tests.integration.billing.ground import Ground, Org
from tests.integration.billing.test_ledger import events
from tests.product.people import Person

pytestmark = pytest.mark.alike

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.fixture
async def replica(ground: Ground) -> str:
    """A replica of its own of a model of its own, which is called as the replica is."""
    name, model = f"model-{uuid7().hex}", uuid7()
    columns = "id, name, upstream_name, context_length, max_output_tokens"
    await ground.owner.execute(f"INSERT INTO billing.models ({columns}) VALUES ($1, $2, $2, 8192, 1024)", model, name)
    url = f"http://{name}:8000"
    await ground.owner.execute("INSERT INTO billing.model_backends (model_id, url) VALUES ($1, $2)", model, url)
    return url


def model_of(replica: str) -> str:
    return replica.removeprefix("http://").removesuffix(":8000")


async def read(ground: Ground, replica: str, at: datetime, *counters: int) -> None:
    """A gateway reads it, and a worker fetches what was read."""
    prompt, generation, requests = counters
    await ground.edge.call(readings.tell([Reading(replica, at.timestamp(), 0.0, prompt, generation, requests)]))
    await collect(ground.edge)


async def serve(org: Org, replica: str, at: datetime, *outcomes: Outcome) -> None:
    """Requests of 100 prompt and 10 completion tokens each."""
    batch = [
        msgspec.structs.replace(
            event, model=model_of(replica), started_at=at, settled_at=at + timedelta(seconds=2), outcome=outcome
        )
        for event, outcome in zip(events(org, len(outcomes)), outcomes, strict=True)
    ]
    await take_in(INTAKE, batch)


def told(root: Person, replica: str) -> list[dict[str, object]]:
    found = root.get(
        "/analytics/system/reconciliation", **{"from": "2026-03-09T00:00:00Z", "to": "2026-03-13T00:00:00Z"}
    )
    return [item for item in found["items"] if item["models"] == [model_of(replica)]]


async def kept(ground: Ground, replica: str) -> list[tuple[object, ...]]:
    columns = "day, prompt_tokens, generation_tokens, requests, restarts, unseen, watched_s"
    return await ground.rows(f"SELECT {columns} FROM analytics.engine_daily WHERE url = $1 ORDER BY day", replica)


async def test_what_engines_count_and_what_is_charged_agree(
    ground: Ground, org: Org, root: Person, replica: str
) -> None:
    await read(ground, replica, NOON, 1000, 400, 7)
    await serve(org, replica, NOON, *[Outcome.COMPLETED] * 5)
    await read(ground, replica, NOON + timedelta(seconds=10), 1500, 450, 12)

    [item] = told(root, replica)

    assert (item["day"], item["agrees"], item["reasons"]) == ("2026-03-10", True, [])
    assert (item["prompt_tokens"], item["completion_tokens"], item["requests"]) == (500, 50, 5)
    assert [item[f"engine_{name}"] for name in ("prompt_tokens", "completion_tokens", "requests")] == [500, 50, 5]


async def test_a_difference_is_told_with_its_reasons(ground: Ground, org: Org, root: Person, replica: str) -> None:
    await read(ground, replica, NOON, 0, 0, 0)
    await serve(org, replica, NOON, Outcome.COMPLETED, Outcome.CLIENT_ABORTED)
    midnight = datetime(2026, 3, 11, tzinfo=UTC)
    await serve(org, replica, midnight - timedelta(seconds=1), Outcome.COMPLETED)
    await read(ground, replica, NOON + timedelta(seconds=10), 900, 90, 9)

    [before] = [item for item in told(root, replica) if item["day"] == "2026-03-10"]

    assert (before["agrees"], before["prompt_difference"], before["completion_difference"]) == (False, 600, 60)
    found = {reason["cause"]: reason["requests"] for reason in before["reasons"]}
    assert found == {"not_watched": None, "ended_early": 1, "across_midnight": 1, "past_the_gateway": 6}
    answer = root.api.get(
        "/analytics/system/reconciliation",
        params={"from": "2026-03-10T00:00:00Z", "to": "2026-03-11T00:00:00Z"},
        headers={"accept": "text/csv"},
    )
    [row] = [row for row in csv.DictReader(io.StringIO(answer.text)) if row["models"] == model_of(replica)]
    assert (row["prompt_difference"], row["agrees"]) == ("600", "false")
    assert row["causes"] == "not_watched ended_early across_midnight past_the_gateway"


async def test_counters_that_begin_anew_are_added_up_and_gaps_and_restarts_counted(
    ground: Ground, replica: str
) -> None:
    await read(ground, replica, NOON, 100, 10, 1)
    await read(ground, replica, NOON + timedelta(seconds=10), 150, 15, 2)
    await read(ground, replica, NOON + timedelta(seconds=20), 30, 3, 1)
    await read(ground, replica, NOON + timedelta(days=1), 80, 8, 2)
    await read(ground, replica, NOON + timedelta(days=2), 5, 1, 1)

    assert await kept(ground, replica) == [
        (date(2026, 3, 10), 80, 8, 2, 1, 0, 20.0),
        (date(2026, 3, 11), 50, 5, 1, 0, 0, 0.0),
        (date(2026, 3, 12), 5, 1, 1, 1, 1, 0.0),
    ]


async def test_the_same_reading_twice_and_an_older_one_change_nothing(ground: Ground, replica: str) -> None:
    await read(ground, replica, NOON, 100, 10, 1)
    for _ in range(2):
        await read(ground, replica, NOON + timedelta(seconds=10), 150, 15, 2)
    await read(ground, replica, NOON + timedelta(seconds=5), 120, 12, 1)

    assert await kept(ground, replica) == [(date(2026, 3, 10), 50, 5, 1, 0, 0, 10.0)]


async def test_workers_ask_for_the_replicas_there_are_and_forget_what_was_read_of_others(
    ground: Ground, replica: str
) -> None:
    gone = f"http://gone-{uuid7().hex}:8000"
    await ground.edge.call(readings.tell([Reading(gone, NOON.timestamp(), 0.0, 1, 1, 1)]))
    await collect(ground.edge)

    assert replica in readings.read_wanted(await ground.edge.call(readings.WANTED))
    assert gone not in {each.url for each in readings.read_readings(await ground.edge.call(readings.READINGS))}
    assert await kept(ground, gone) == []


async def test_a_replica_that_is_gone_for_a_while_begins_with_what_it_shows_when_it_is_back(
    ground: Ground, replica: str
) -> None:
    await read(ground, replica, NOON, 100, 10, 1)
    [row] = await ground.rows("SELECT model_id FROM billing.model_backends WHERE url = $1", replica)
    await ground.owner.execute("DELETE FROM billing.model_backends WHERE url = $1", replica)
    await collect(ground.edge)
    await ground.owner.execute("INSERT INTO billing.model_backends (model_id, url) VALUES ($1, $2)", row[0], replica)
    await read(ground, replica, NOON + timedelta(days=2), 9000, 900, 90)

    assert await kept(ground, replica) == [
        (date(2026, 3, 10), 0, 0, 0, 0, 0, 0.0),
        (date(2026, 3, 12), 0, 0, 0, 0, 0, 0.0),
    ]


async def test_the_gauges_tell_of_yesterday_and_today(ground: Ground, replica: str) -> None:
    moment = datetime.now(UTC)
    await read(ground, replica, moment - timedelta(seconds=10), 0, 0, 0)
    await read(ground, replica, moment, 70, 7, 1)

    await clock.tell()

    model = model_of(replica)
    samples = {
        (sample.labels["kind"], sample.value)
        for sample in clock.DIFFERENCE.collect()[0].samples
        if sample.labels["models"] == model
    }
    assert {("prompt", 70.0), ("completion", 7.0)} <= samples
    assert any(sample.labels["models"] == model for sample in clock.WATCHED.collect()[0].samples)


async def test_an_engine_is_up_while_it_is_read(ground: Ground, replica: str) -> None:
    def up() -> float | None:
        return REGISTRY.get_sample_value("ias_engine_up", {"replica": replica, "models": model_of(replica)})

    await clock.tell_engines()
    assert up() == 0
    await read(ground, replica, now() - timedelta(minutes=1), 1, 1, 1)
    await clock.tell_engines()
    assert up() == 0
    await read(ground, replica, now(), 2, 2, 2)
    await clock.tell_engines()
    assert up() == 1

"""`ias doctor` on real services: what is broken on purpose is named, and a worker's metrics say the same."""

import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from math import isnan
from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ias.bus import dead_letters
from ias.contract import admission, beats
from ias.contract.beats import FORGOTTEN_S
from ias.contract.usage import ANALYTICS_QUEUE, EXCHANGE, LEDGER_QUEUE, ROUTING_KEY
from ias.db import EVERYWHERE, transaction
from ias.identity import owe
from ias.vitals.metrics import METRICS
from tests.integration.billing.doors import environment
from tests.integration.billing.ground import Org, migrate
from tests.integration.worker.doctors import SOON_S, Answer, ask, command, doctor
from tests.integration.worker.place import Place, metric, say, until
from tests.integration.worker.test_queue import channel, publish
from tests.product.processes import Product
from tests.services import Services

QUICK = {"IAS_CHECK_EVERY_S": "0.5", "IAS_COMPARE_EVERY_S": "0.5", "IAS_VITALS_EVERY_S": "0.2"}
ONCE = QUICK | {"IAS_CHECK_EVERY_S": "3600"}
"""Checks when it starts, where nobody did within the hour, and then no more."""
MOVING = {
    *("ias_check_age_seconds", "ias_redis_clock_skew_seconds", "ias_worker_connections", "ias_redis_memory_ratio"),
    *("ias_redis_memory_bytes", "ias_postgresql_connections", "ias_postgresql_size_bytes"),
}
"""What is never twice the same."""


def metrics(worker: Product) -> dict[tuple[str, str], float]:
    """A worker's metrics of the table, by name and label."""
    named = {metric.name for metric in METRICS}
    families = text_string_to_metric_families(httpx.get(f"{worker.worker_url}/metrics").text)
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in families
        for sample in family.samples
        if sample.name in named and not isnan(sample.value)
    }


async def well(place: Place, **settings: str) -> Answer:
    """Wait until the doctor has nothing to say."""
    answers: list[Answer] = []

    async def is_well() -> bool:
        answers.append(await doctor(place, **settings))
        return answers[-1].code == 0

    try:
        await until(is_well)
    except TimeoutError:
        raise AssertionError([answers[-1].findings[place]["said"] for place in answers[-1].wrong]) from None
    return answers[-1]


async def agree(place: Place, worker: Product, **settings: str) -> None:
    """Doctor and worker tell the same."""
    seen: list[tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]]] = []

    async def same() -> bool:
        told, shown = (await doctor(place, **settings)).figures, metrics(worker)
        seen.append((still(told), still(shown)))
        return told.keys() == shown.keys() and seen[-1][0] == seen[-1][1]

    try:
        await until(same)
    except TimeoutError:
        told, shown = seen[-1]
        raise AssertionError(set(told.items()) ^ set(shown.items())) from None


def still(figures: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    return {name: value for name, value in figures.items() if name[0] not in MOVING}


async def test_all_is_well_and_the_worker_shows_the_same_figures(place: Place, org: Org) -> None:
    with place.worker(**QUICK) as worker:
        await place.booked(org, [await org.complete() for _ in range(5)])
        answer = await well(place)
        await agree(place, worker)

    assert answer.said("rabbitmq", "configured").startswith("no broker")
    assert answer.said("redis", "kind").startswith("alone, 1 shard")


async def test_with_a_broker_too(world: Services, queued: Place) -> None:
    org = await queued.ground.organisation()
    management = {"IAS_AMQP_MANAGEMENT_URL": world.management_url}
    with queued.worker(**QUICK, **management) as worker:
        await queued.booked(org, [await org.complete() for _ in range(5)])
        answer = await well(queued, **management)
        await agree(queued, worker, **management)

    assert answer.said("rabbitmq", "topology") == "exchange, queues and dead letters as declared"
    assert answer.figures["ias_queue_consumers", LEDGER_QUEUE] == 1
    unlooked = {m.name for m in METRICS} - {name for name, _ in answer.figures}
    assert unlooked <= {"ias_gateway_lease_seconds"}


async def test_the_table_is_for_people(place: Place, org: Org) -> None:
    done = await command(place.environment() | {"COLUMNS": "200"}, "doctor")

    assert done.returncode == 1
    assert "start `ias worker`" in done.stdout
    assert "well" in done.stdout


@pytest.fixture
def nowhere() -> dict[str, str]:
    """Addresses where nobody is, with secrets in them."""
    dead = "127.0.0.1:1"
    return environment(
        f"postgresql://ias:hunter2@{dead}/ias",
        f"redis://:hunter3@{dead}/0",
        f"amqp://ias:hunter4@{dead}/",
    ) | {"IAS_AMQP_MANAGEMENT_URL": f"http://{dead}"}


async def test_with_everything_down_it_says_so_soon_and_tells_no_secret(nowhere: dict[str, str]) -> None:
    answer = await ask(nowhere)

    assert answer.code == 1
    for subject in ("postgresql", "redis", "rabbitmq"):
        assert (subject, "reachable") in answer.wrong
    assert {("organisations", "seen"), ("books", "seen")} <= answer.wrong
    assert "hunter" not in answer.text
    assert nowhere["IAS_JWT_SECRET"] not in answer.text
    assert answer.took_s < SOON_S


@pytest.mark.parametrize("harm", ["stop", "kill"])
async def test_services_that_stop_are_named(world: Services, tmp_path: Path, harm: str) -> None:
    with ExitStack() as stack:
        postgres, redis = (stack.enter_context(world.fresh(part)) for part in ("postgres", "redis"))
        migrate(postgres.url, redis.url)
        env = environment(postgres.url, redis.url)
        assert not {("postgresql", "reachable"), ("redis", "reachable")} & (await ask(env)).wrong

        getattr(redis, harm)()
        assert ("redis", "reachable") in (await ask(env)).wrong
        getattr(postgres, harm)()
        answer = await ask(env)

        assert {("postgresql", "reachable"), ("redis", "reachable")} <= answer.wrong
        assert answer.took_s < SOON_S
        postgres.cont()
        redis.cont()


async def test_a_database_without_migrations_is_named(world: Services) -> None:
    with world.database() as url, world.fresh("redis") as redis:
        answer = await ask(environment(url, redis.url))

    assert ("postgresql", "migrations") in answer.wrong
    assert "identity_0001_foundation" in answer.said("postgresql", "migrations")
    assert ("redis", "function library") in answer.wrong
    assert ("books", "seen") in answer.wrong


async def test_a_redis_that_forgets_evicts_or_is_full_is_named(place: Place, org: Org) -> None:
    redis = place.ground.edge.redis
    facts = {("redis", fact) for fact in ("persistence", "eviction", "memory", "function library")}
    assert not facts & (await doctor(place)).wrong

    await redis.config_set("appendfsync", "no")
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    await redis.function_flush()  # first: what the library took is a part of what such a small Redis has in use
    await redis.config_set("maxmemory", int((await redis.info("memory"))["used_memory"] * 1.1))

    assert facts <= (await doctor(place)).wrong


async def test_without_a_worker_what_stands_still_is_named(place: Place, org: Org) -> None:
    """The worker, the check, an old settlement, a lease that lapsed."""
    await place.ground.edge.redis.xadd(admission.outbox(org.tag), {"r": "x"}, id="1600000000000-1")
    await org.reserve(lease_s=-60)

    answer = await doctor(place)

    assert answer.wrong == {
        ("worker", "running"),
        ("check", "age"),
        ("outbox", "age"),
        ("relay", "lag"),
        ("sweeper", "lapsed leases"),
        ("projection", "whole"),
    }, answer.text
    assert answer.figures["ias_sweep_lag_seconds", ""] >= 59
    assert answer.figures["ias_relay_lag_seconds", ""] > 10**6
    assert "gateway-1" in answer.said("gateways", "leases")


async def test_organisations_without_a_whole_projection_and_debts_are_named(place: Place, org: Org) -> None:
    await place.ground.edge.redis.hdel(f"{admission.slot(org.tag)}:v", "complete")
    async with transaction(EVERYWHERE):
        await owe(org.id)
    await place.ground.owner.execute("UPDATE identity.projection_debts SET created_at = now() - interval '1 minute'")
    await place.ground.owner.execute("INSERT INTO billing.route_debts DEFAULT VALUES")

    answer = await doctor(place)

    assert f"org-{org.tag}" in answer.said("projection", "organisations")
    assert {("projection", f"debts, {of}") for of in ("organisations", "models")} <= answer.wrong


async def test_drift_is_named_with_its_organisation_and_goes_when_it_is_repaired(place: Place, org: Org) -> None:
    """One worker finds it, in its only check, and another one repairs it: until then it is there to be looked for.

    A doctor reads in PostgreSQL what the last check found. A worker's metrics are of its last look there, and may be
    behind what a doctor says.
    """

    def shows(tokens: int) -> Callable[[], Awaitable[bool]]:
        async def does() -> bool:
            return metrics(worker).get(("ias_check_drift_tokens", "used")) == tokens

        return does

    with place.worker(**ONCE) as worker:
        await place.booked(org, [await org.complete((10, 5, 0))])
        await well(place)
        month = f"{admission.slot(org.tag)}:bud:{(await org.edge.standing(org.tag, ''))[0].decode()}"
        await org.edge.redis.hincrby(month, "used", 123)
        # The next worker checks when it starts, too.
        await place.ground.owner.execute("UPDATE billing.checks SET checked_at = now() - interval '1 day'")

        with place.worker(**ONCE):
            await until(shows(123))
            answer = await doctor(place)
        assert ("ledger", "drift") in answer.wrong
        assert answer.said("ledger", "drift").endswith(f"wrong by 123 tokens in 1 organisations: org-{org.tag}")

        with place.worker(**QUICK) as mender:
            await until(shows(0))
            await well(place)
            assert (await org.edge.redis.hget(month, "used")) == b"15"
            assert metric(mender, 'ias_check_repaired_total{kind="used"}') == 123


@pytest.fixture
def broken(world: Services, queued: Place) -> tuple[Place, dict[str, str]]:
    """A place whose worker has declared everything and ended."""
    with queued.worker():
        pass
    return queued, {"IAS_AMQP_MANAGEMENT_URL": world.management_url}


async def test_queues_that_nobody_consumes_are_named(broken: tuple[Place, dict[str, str]]) -> None:
    place, management = broken
    await publish(place.amqp_url, b"[]")

    answer = await doctor(place, **management)

    assert ("rabbitmq", "topology") not in answer.wrong
    for queue in (LEDGER_QUEUE, ANALYTICS_QUEUE):
        assert answer.said(f"queue {queue}", "consumed") == "1 messages wait, 0 consumers"


async def test_a_queue_that_is_missing_or_another_or_unbound_is_named(broken: tuple[Place, dict[str, str]]) -> None:
    place, management = broken
    async with channel(place.amqp_url) as mine:
        await mine.queue_delete(LEDGER_QUEUE)
        await mine.queue_delete(dead_letters(ANALYTICS_QUEUE))
        await mine.declare_queue(dead_letters(ANALYTICS_QUEUE), durable=True)
        await (await mine.get_queue(ANALYTICS_QUEUE)).unbind(EXCHANGE, ROUTING_KEY)

    answer = await doctor(place, **management)

    said = answer.said("rabbitmq", "topology")
    assert f"queue {LEDGER_QUEUE} is missing" in said
    assert f"queue {dead_letters(ANALYTICS_QUEUE)} is another one" in said
    assert f"queue {ANALYTICS_QUEUE} is not bound" in said
    async with channel(place.amqp_url) as mine:
        with pytest.raises(Exception, match="NOT_FOUND"):
            await mine.declare_queue(LEDGER_QUEUE, passive=True)


async def test_a_poisoned_message_is_named_until_it_is_dismissed(world: Services, queued: Place) -> None:
    management = {"IAS_AMQP_MANAGEMENT_URL": world.management_url}
    with queued.worker(**QUICK, **management):
        await well(queued, **management)
        await publish(queued.amqp_url, b"poison")

        # Of both consumers: what one sets aside after the replay stays there, and so does its dead letter.
        set_aside = {(f"consumer {consumer}", "quarantine") for consumer in ("ledger", "usage")}
        dead = {(f"queue {queue}", "dead letters") for queue in (LEDGER_QUEUE, ANALYTICS_QUEUE)}

        async def seen() -> bool:
            return set_aside | dead <= (await doctor(queued, **management)).wrong

        await until(seen)
        env = queued.environment()
        assert (await command(env, "usage", "replay", "--all")).returncode == 1
        listed = (await command(env, "usage", "quarantine", "--json")).stdout
        ids = [row["id"] for row in msgspec.json.decode(listed)]
        assert len(ids) == 2
        assert (await command(env, "usage", "dismiss", "--because", "a test", *ids)).returncode == 0
        await well(queued, **management)


async def test_gateways_are_named_with_what_is_wrong_with_them(place: Place, org: Org) -> None:
    edge, now = place.ground.edge, time.time()
    assert "gw (0, 0 open)" in (await doctor(place)).said("gateways", "running")
    await say(edge, "killed", at=now - 60)
    await say(edge, "long-dead", at=now - 2 * FORGOTTEN_S)
    await say(edge, "ended", at=now, state="stopped")
    await say(edge, "newer", at=now + 3600, library="another", state="drains", open=3)
    await say(edge, "full", at=now + 3600, spooled=7, unsettled=9)

    answer = await doctor(place)

    assert "killed" in answer.said("gateways", "silent")
    assert "newer (0, drains, 3 open)" in answer.said("gateways", "running")
    assert "newer" in answer.said("gateways", "release")
    assert "7 at full" in answer.said("gateways", "spool")
    assert {("gateways", fact) for fact in ("silent", "release", "spool")} <= answer.wrong
    assert ("gateways", "running") not in answer.wrong
    assert answer.figures["ias_gateways_up", ""] == 3
    assert answer.figures["ias_gateway_spool_left", "full"] == 7

    with place.worker(**QUICK):

        async def forgotten() -> bool:
            names = {beat.name for beat in beats.read_beats(await edge.call(beats.BEATS))}
            return names == {"gw", "killed", "newer", "full"}

        await until(forgotten)


async def test_that_no_gateway_runs_is_named(place: Place, org: Org) -> None:
    await place.ground.edge.call(beats.forget(["gw"]))
    answer = await doctor(place)
    assert ("gateways", "running") in answer.wrong
    assert answer.figures["ias_gateways_up", ""] == 0

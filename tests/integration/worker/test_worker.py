"""The worker process without a broker: what is settled in Redis is in the ledger and in the rollups, once."""

import asyncio
from contextlib import ExitStack
from pathlib import Path

import httpx
import msgspec

from ias.contract.admission import Admitted, NotReady
from tests.integration.billing.doors import environment
from tests.integration.billing.ground import Org, migrate
from tests.integration.worker.place import Place, a_place, metric, until
from tests.product.processes import BIN, Process
from tests.services import Services


async def test_what_is_settled_is_booked_and_counted(place: Place, org: Org) -> None:
    with place.worker() as worker:
        ids = [await org.complete((10, number, 3)) for number in range(50)]

        await place.booked(org, ids)

        assert await place.sums(org) == [1725] * 4
        assert metric(worker, "ias_relay_relayed_total") == 50
        assert metric(worker, "ias_ledger_lines_total") == 50
        assert metric(worker, "ias_usage_events_total") == 50
    assert await place.ground.value("SELECT count(*) FROM billing.quarantine") == 0


async def test_what_was_settled_while_no_worker_ran_is_booked_when_one_comes(place: Place, org: Org) -> None:
    ids = [await org.complete() for _ in range(5)]

    with place.worker():
        await place.booked(org, ids)


async def test_workers_killed_again_and_again_lose_and_double_nothing(place: Place, org: Org) -> None:
    ids: list[str] = []
    settings = {"IAS_RELAY_TAKEOVER_S": "1"}
    with place.worker(**settings) as worker:
        for _ in range(4):
            ids += [await org.complete() for _ in range(100)]
            worker.processes["worker"].restart()

        await place.booked(org, ids)


async def test_two_workers_share_the_work(place: Place, org: Org) -> None:
    with ExitStack() as stack:
        workers = [stack.enter_context(place.worker()) for _ in range(2)]
        ids = [await org.complete() for _ in range(300)]

        await place.booked(org, ids)

        assert sum(metric(worker, "ias_ledger_lines_total") for worker in workers) == 300


async def test_a_worker_told_to_end_ends_well_and_leaves_nothing_half_done(place: Place, org: Org) -> None:
    ids = [await org.complete() for _ in range(300)]
    with place.worker() as worker:
        process = worker.processes["worker"]

        assert process.end() == 0

        lines = [msgspec.json.decode(line) for line in process.log.read_bytes().splitlines()]
        assert not [line for line in lines if line["level"] == "error"]
    with place.worker():
        await place.booked(org, ids)


async def test_a_worker_waits_for_the_migrations_and_says_so(world: Services, tmp_path: Path) -> None:
    with world.database() as url, world.fresh("redis") as redis:
        env = environment(url, redis.url)
        probe = f"http://127.0.0.1:{env['IAS_WORKER_PORT']}"
        worker = Process("worker", (str(BIN / "ias"), "worker"), env, tmp_path, f"{probe}/ready")
        worker.start()
        try:
            await until(lambda: answers(probe, "/ready", 503))
            assert await answers(probe, "/health", 200)

            migrate(url, redis.url)

            await until(lambda: answers(probe, "/ready", 200))
            assert "waiting for" in worker.log.read_text()
        finally:
            worker.end()


async def test_a_worker_outlives_a_restart_of_postgresql(world: Services, tmp_path: Path) -> None:
    with world.fresh("postgres") as postgres, world.fresh("redis") as redis:
        migrate(postgres.url, redis.url)
        async with a_place(tmp_path, postgres.url, redis.url, None) as place:
            org = await place.ground.organisation()
            with place.worker():
                ids = [await org.complete() for _ in range(50)]
                postgres.kill()
                ids += [await org.complete() for _ in range(50)]
                await asyncio.sleep(0.5)
                postgres.start()
                await place.ground.reconnect()

                await place.booked(org, ids)


async def test_a_worker_outlives_a_restart_of_redis(world: Services, migrated: str, tmp_path: Path) -> None:
    settings = {"appendonly": "yes", "appendfsync": "always"}
    with world.database(migrated) as url, world.fresh("redis", settings) as redis:
        async with a_place(tmp_path, url, redis.url, None) as place:
            org = await place.ground.organisation()
            with place.worker():
                ids = [await org.complete() for _ in range(20)]
                redis.restart()
                await place.ground.edge.redis.connection_pool.disconnect()
                ids += [await org.complete() for _ in range(20)]

                await place.booked(org, ids)


async def test_an_emptied_redis_is_projected_again(place: Place, org: Org) -> None:
    with place.worker():
        await until(place.ground.edge.whole)
        await place.ground.edge.call(("FLUSHALL",))
        assert isinstance((await org.reserve())[1], NotReady)

        await until(place.ground.edge.whole)
        assert not isinstance((await org.reserve())[1], NotReady)


async def test_a_lost_gateways_request_is_swept(place: Place, org: Org) -> None:
    request_id, admitted = await org.reserve(lease_s=1)
    assert isinstance(admitted, Admitted)

    with place.worker():
        await place.booked(org, [request_id])

    outcome = await place.ground.value("SELECT outcome FROM billing.ledger_lines WHERE org_id = $1", org.id)
    assert outcome == "gateway_lost"


async def answers(base: str, path: str, status: int) -> bool:
    try:
        async with httpx.AsyncClient(base_url=base, timeout=5) as client:
            return (await client.get(path)).status_code == status
    except httpx.TransportError:
        return False

"""Settlements that Redis does not take outlive the gateway that made them."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ias.contract import admission
from ias_gateway.redis import pack
from ias_gateway.spool import Spool
from tests.full_disk import full_disk
from tests.integration.gateway.place import CHAT, USER, Place, Tenant, eventually, logged, place_of
from tests.services import Services


@pytest.fixture
def own(services: Services, tmp_path: Path) -> Iterator[Place]:
    """A gateway with a spool file."""
    settings = {"IAS_SPOOL_DIR": str(tmp_path / "spool"), "IAS_LEASE": "2", "IAS_GATEWAY_NAME": "gw"}
    with place_of(services, tmp_path, **settings) as place:
        yield place


@pytest.fixture
async def spooling(own: Place, tenants: Callable[[Place], Tenant]) -> Tenant:
    made = tenants(own)
    await made.edge.load_library()
    return await made.begin()


async def metric(place: Place, name: str) -> float:
    text = (await place.client.get(f"{place.probes}/metrics")).text
    return next((float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name} ")), 0.0)


@asynccontextmanager
async def unsettled(tenant: Tenant) -> AsyncIterator[None]:
    """A stream that ends while Redis is away, so that its settlement waits."""

    async def connected() -> bool:
        return await metric(tenant.place, "ias_gateway_redis_up") == 1

    await eventually(connected)
    body = tenant.body("[[mock tokens=30 delay_ms=80]]", stream=True, max_tokens=30)
    async with tenant.place.client.stream("POST", CHAT, json=body, headers=tenant.headers) as answer:
        parts = answer.aiter_bytes()
        await anext(parts)
        tenant.place.redis.kill()
        assert b"".join([part async for part in parts]).endswith(b"data: [DONE]\n\n")
    yield


async def spooled(place: Place, number: int) -> None:
    async def there() -> bool:
        return await metric(place, "ias_gateway_spooled") == number

    await eventually(there)


async def settled_once(tenant: Tenant) -> None:
    """One line of all that was written, however often it was sent."""
    (line,) = await tenant.books_agree()
    assert (line["l"], line["ct"], line["o"]) == ("1", "30", "completed")
    used, held = (int(part) for part in (await tenant.edge.standing(tenant.tag, USER))[2:4])
    assert (used, held) == (int(line["pt"]) + int(line["ct"]), 0)


async def test_what_waits_for_redis_is_written_and_forgotten_once_it_is_taken(spooling: Tenant, tmp_path: Path) -> None:
    async with unsettled(spooling):
        await spooled(spooling.place, 1)
    (file,) = (tmp_path / "spool").iterdir()
    assert file.stat().st_size > 0
    spooling.place.redis.start()
    await settled_once(spooling)
    await spooled(spooling.place, 0)
    assert file.stat().st_size == 0


async def test_a_killed_gateways_settlements_are_sent_by_the_next_one(spooling: Tenant) -> None:
    async with unsettled(spooling):
        await spooled(spooling.place, 1)
    spooling.place.gateway.kill()
    spooling.place.redis.start()
    spooling.place.gateway.start()
    spooling.place.gateway.wait_ready()
    await settled_once(spooling)
    await spooled(spooling.place, 0)


async def test_a_gateway_of_another_name_takes_over_what_a_dead_one_left(spooling: Tenant, tmp_path: Path) -> None:
    async with unsettled(spooling):
        await spooled(spooling.place, 1)
    spooling.place.gateway.kill()
    spooling.place.redis.start()
    env = {**spooling.place.gateway.env, "IAS_GATEWAY_NAME": "another"}
    spooling.place.gateway.env = env
    spooling.place.gateway.start()
    spooling.place.gateway.wait_ready()
    await settled_once(spooling)
    assert [file.name for file in (tmp_path / "spool").iterdir()] == ["another.spool"]


async def test_what_a_gateway_of_the_release_before_has_left_is_sent_in_its_own_form(
    spooling: Tenant, tmp_path: Path
) -> None:
    spooling.place.gateway.kill()
    month = (await spooling.edge.standing(spooling.tag, USER))[0]
    told = ("left", 7, 3, 2, "completed", 0, b'{"old":1}', USER, month, "dead")
    left = Spool(tmp_path / "spool" / "dead.spool")
    left.append([(spooling.tag, "left", pack(("FCALL", "ias_settle", 1, admission.slot(spooling.tag), *told)))])
    left.close()
    spooling.place.gateway.start()
    spooling.place.gateway.wait_ready()
    (line,) = await spooling.lines()
    assert [line[name] for name in ("r", "l", "pt", "ct", "ca", "o", "e", "f")] == [
        *("left", "1", "7", "3", "2", "completed", "0", '{"old":1}'),
    ]
    assert (await spooling.edge.standing(spooling.tag, USER))[2:4] == [b"10", b"0"]
    await spooled(spooling.place, 0)


async def test_a_gateway_that_runs_takes_over_what_a_dead_one_left_beside_it(
    spooling: Tenant, services: Services, tmp_path: Path
) -> None:
    folder, home = tmp_path / "spool", tmp_path / "beside"
    home.mkdir()
    settings = {"IAS_SPOOL_DIR": str(folder), "IAS_GATEWAY_NAME": "beside"}
    with place_of(services, home, spooling.place.redis, **settings):
        async with unsettled(spooling):
            await spooled(spooling.place, 1)
        spooling.place.gateway.kill()
        spooling.place.redis.start()

        async def taken_over() -> bool:
            return [file.name for file in await asyncio.to_thread(lambda: list(folder.iterdir()))] == ["beside.spool"]

        await eventually(taken_over, within=60)
        await settled_once(spooling)
        log = logged(home, "gateway")
        assert [line["found"] for line in log if line["event"] == "settlements of a spool file are replayed"] == [1]


async def test_a_gateway_that_ends_while_redis_is_away_leaves_nothing_behind_in_memory(
    spooling: Tenant, tmp_path: Path
) -> None:
    async with unsettled(spooling):
        spooling.place.gateway.signal(signal.SIGTERM)
    assert await asyncio.to_thread(spooling.place.gateway.child.wait, 30) == 0
    (file,) = (tmp_path / "spool").iterdir()
    assert file.stat().st_size > 0
    spooling.place.redis.start()
    spooling.place.gateway.start()
    spooling.place.gateway.wait_ready()
    await settled_once(spooling)
    spooling.place.gateway.signal(signal.SIGTERM)
    assert await asyncio.to_thread(spooling.place.gateway.child.wait, 30) == 0
    assert list((tmp_path / "spool").iterdir()) == []


async def test_what_a_sweeper_settled_before_the_replay_is_adjusted(spooling: Tenant) -> None:
    async with unsettled(spooling):
        await spooled(spooling.place, 1)
    spooling.place.gateway.kill()
    spooling.place.redis.start()
    sweep = admission.sweep(spooling.tag, 10)

    async def swept() -> bool:
        try:
            return await spooling.edge.call(sweep) == 1
        except Exception:  # noqa: BLE001 - Redis was just started
            return False

    await eventually(swept)
    spooling.place.gateway.start()
    spooling.place.gateway.wait_ready()
    lines = await spooling.lines(2)
    assert [(line["l"], line["o"]) for line in lines] == [("1", "gateway_lost"), ("2", "completed")]
    assert sum(int(line["ct"]) for line in lines) == 30


async def test_a_disk_that_is_full_is_told_and_loses_nothing_that_memory_holds(
    spooling: Tenant, tmp_path: Path
) -> None:
    spooling.place.gateway.kill()
    (file,) = (tmp_path / "spool").iterdir()
    file.unlink()
    full_disk(file)
    spooling.place.gateway.start()
    spooling.place.gateway.wait_ready()
    async with unsettled(spooling):

        async def told() -> bool:
            return await metric(spooling.place, "ias_gateway_spool_failures_total") > 0

        await eventually(told)
    spooling.place.redis.start()
    await settled_once(spooling)


async def test_each_of_several_workers_has_a_file_of_its_own(
    services: Services, tmp_path: Path, tenants: Callable[[Place], Tenant]
) -> None:
    settings = {"IAS_SPOOL_DIR": str(tmp_path / "spool"), "IAS_GATEWAY_NAME": "gw", "IAS_GATEWAY_WORKERS": "2"}
    with place_of(services, tmp_path, **settings) as place:
        tenant = tenants(place)
        await tenant.edge.load_library()
        await tenant.begin()

        async def ready() -> bool:
            return (await place.client.get(f"{place.probes}/ready")).status_code == 200

        await eventually(ready)
        assert sorted(file.name for file in (tmp_path / "spool").iterdir()) == ["gw-0.spool", "gw-1.spool"]
        async with unsettled(tenant):
            await eventually(lambda: written(tmp_path / "spool"))
        for worker in (await place.client.get(f"{place.probes}/health")).json()["workers"].values():
            os.kill(worker["pid"], signal.SIGKILL)
        place.redis.start()
        await settled_once(tenant)


async def written(folder: Path) -> bool:
    return any(file.stat().st_size for file in await asyncio.to_thread(lambda: list(folder.iterdir())))


async def test_a_folder_that_cannot_be_is_told_at_start(own: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    own.gateway.signal(signal.SIGTERM)
    await asyncio.to_thread(own.gateway.child.wait, 30)
    own.gateway.env = {**own.gateway.env, "IAS_SPOOL_DIR": str(tmp_path / "file")}
    own.gateway.start()
    assert await asyncio.to_thread(own.gateway.child.wait, 30) == 1
    assert "IAS_SPOOL_DIR" in own.gateway.log.read_text()

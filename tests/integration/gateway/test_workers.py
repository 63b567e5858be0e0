"""Several workers on one port: the kernel spreads, the supervisor starts again, the metrics are one."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil
import pytest

from tests.integration.gateway.place import CHAT, Place, Tenant, eventually, place_of
from tests.product.processes import BIN
from tests.services import Services, free_port

REQUESTS = 'ias_gateway_requests_total{endpoint="/v1/chat/completions",status="200"}'
CONNECTIONS = 40
"""So many new connections do not all go to one of two workers: the odds are 2 to the power of -39."""


@pytest.fixture
def pair(services: Services, tmp_path: Path) -> Iterator[Place]:
    """Two workers of the test's own."""
    with place_of(services, tmp_path, IAS_GATEWAY_WORKERS="2", IAS_LEASE="2") as place:
        yield place


@pytest.fixture
async def two(pair: Place, tenants: Callable[[Place], Tenant]) -> Tenant:
    made = tenants(pair)
    await made.edge.load_library()
    await made.begin()
    await eventually(lambda: ready(made), within=60)
    return made


async def get(tenant: Tenant, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=tenant.place.probes, timeout=20) as client:
        return await client.get(path)


async def ready(tenant: Tenant) -> bool:
    return (await get(tenant, "/ready")).status_code == 200


async def workers(tenant: Tenant) -> dict[str, Any]:
    return (await get(tenant, "/health")).json()["workers"]


async def metric(tenant: Tenant, sample: str) -> float:
    text = (await get(tenant, "/metrics")).text
    found = [line for line in text.splitlines() if line.startswith(sample + " ")]
    return float(found[0].rpartition(" ")[2]) if found else 0.0


async def ask(tenant: Tenant, number: int) -> None:
    """So many requests, each on a connection of its own."""
    for _ in range(number):
        async with httpx.AsyncClient(base_url=tenant.place.url, timeout=20) as client:
            answer = await client.post(CHAT, json=tenant.body(max_tokens=1), headers=tenant.headers)
            assert answer.status_code == 200, answer.text


async def gateways(tenant: Tenant, number: int) -> set[str]:
    """The workers that have written so many lines, by the ends of their names."""
    return {msgspec.json.decode(line["f"])["gateway"][-2:] for line in await tenant.lines(number)}


@contextlib.asynccontextmanager
async def stream(tenant: Tenant, tokens: int) -> Any:
    """An open stream, and the pid of the worker that serves it."""
    body = tenant.body(f"[[mock tokens={tokens} delay_ms=10]]", stream=True, max_tokens=tokens)
    async with (
        httpx.AsyncClient(base_url=tenant.place.url, timeout=20) as client,
        client.stream("POST", CHAT, json=body, headers=tenant.headers) as answer,
    ):
        parts = answer.aiter_bytes()
        first = await anext(parts)
        own = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
        pids = [each["pid"] for each in (await workers(tenant)).values()]
        (pid,) = [
            pid for pid in pids if own in {c.raddr.port for c in psutil.Process(pid).net_connections() if c.raddr}
        ]
        yield pid, first, parts


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def test_connections_are_spread_and_counted_as_one(two: Tenant) -> None:
    await ask(two, CONNECTIONS)
    assert await gateways(two, CONNECTIONS) == {"-0", "-1"}
    assert await metric(two, REQUESTS) == CONNECTIONS
    assert await metric(two, 'gen_ai_server_request_duration_seconds_count{model="mock-gpt"}') == CONNECTIONS

    async def none_is_open() -> bool:
        return await metric(two, "ias_gateway_open_requests") == 0

    # The clock tells it, a few times a second.
    await eventually(none_is_open)
    assert await metric(two, "ias_gateway_redis_up") == 1
    assert [await metric(two, f'ias_gateway_worker_up{{worker="{index}"}}') for index in (0, 1)] == [1, 1]
    told = (await get(two, "/ready")).json()
    assert told["ready"], told
    assert set(told["workers"]) == {"0", "1"}
    assert set(told["dependencies"]) == {"process", "redis", "function library", "projection", "clock"}
    assert (await get(two, "/else")).status_code == 404


async def test_a_killed_worker_comes_back_while_the_other_serves_and_the_sum_never_falls(two: Tenant) -> None:
    await ask(two, 10)
    before = await workers(two)
    assert await metric(two, REQUESTS) == 10
    with contextlib.suppress(httpx.HTTPError):
        async with stream(two, 500) as (pid, _, parts):
            os.kill(pid, signal.SIGKILL)
            assert b"[DONE]" not in b"".join([part async for part in parts])
    await eventually(lambda: one_ended(two), within=30)
    await ask(two, 10)
    assert await metric(two, REQUESTS) >= 20
    await eventually(lambda: ready(two), within=60)
    after = await workers(two)
    (index,) = [index for index in before if before[index]["pid"] == pid]
    assert {name for name in after if after[name]["pid"] != before[name]["pid"]} == {index}
    assert (after[index]["restarts"], after[index]["status"]) == (1, "running")
    await ask(two, 10)
    assert await metric(two, REQUESTS) == 30
    assert await metric(two, f'ias_gateway_worker_restarts_total{{worker="{index}"}}') == 1
    (told,) = [line for line in logged(two) if line["event"] == "a worker ended"]
    assert (told["worker"], told["how"]) == (int(index), "killed by SIGKILL")
    await eventually(lambda: swept(two), within=30)
    lost = [line for line in await two.lines(31) if line["o"] != "completed"]
    assert [(line["o"], line["b"]) for line in lost] == [("gateway_lost", "1")]


async def one_ended(tenant: Tenant) -> bool:
    return sum(each["restarts"] for each in (await workers(tenant)).values()) == 1


async def swept(tenant: Tenant) -> bool:
    return bool(await tenant.edge.call(("FCALL", "ias_sweep", 1, f"{{o:{tenant.tag}}}", 10)))


def logged(tenant: Tenant) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in tenant.place.gateway.log.read_bytes().splitlines()]


async def test_a_worker_that_keeps_failing_is_started_after_longer_and_longer_pauses(two: Tenant) -> None:
    for restarts in (1, 2, 3):
        (pid,) = [each["pid"] for name, each in (await workers(two)).items() if name == "1"]
        os.kill(pid, signal.SIGKILL)

        async def again(restarts: int = restarts) -> bool:
            told = (await workers(two))["1"]
            return told["restarts"] == restarts and told["pid"] is not None

        await eventually(again, within=60)
    ended = [line["starts_again_after_s"] for line in logged(two) if line["event"] == "a worker ended"]
    assert ended == [0.1, 0.2, 0.4]


async def test_a_worker_that_is_silent_makes_the_gateway_unready_and_is_named(two: Tenant) -> None:
    pid = (await workers(two))["1"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        told = await get(two, "/ready")
        assert told.status_code == 503
        assert told.json()["dependencies"]["process"].startswith("worker 1: does not answer")
        assert told.json()["workers"]["0"]["process"] == "ok"
        assert await metric(two, 'ias_gateway_worker_up{worker="1"}') == 1
    finally:
        os.kill(pid, signal.SIGCONT)
    await eventually(lambda: ready(two), within=60)


async def test_sigterm_to_the_supervisor_drains_all_workers(two: Tenant) -> None:
    async with contextlib.AsyncExitStack() as stack:
        # As many as it takes for both to have one; each is long enough to be still open then.
        ends: dict[int, Any] = {}
        while len(ends) < 2:
            pid, _, parts = await stack.enter_async_context(stream(two, 5000))
            ends[pid] = parts
        _, _, short = await stack.enter_async_context(stream(two, 20))
        child = two.place.gateway.child
        assert child is not None
        os.kill(child.pid, signal.SIGTERM)
        assert b"".join([part async for part in short]).endswith(b"data: [DONE]\n\n")
        for parts in ends.values():
            cut = b"".join([part async for part in parts])
            assert b'"server_restarting"' in cut
            assert b"[DONE]" not in cut
    assert await asyncio.to_thread(child.wait, 30) == 0
    assert all(map(gone, ends))
    assert {line["o"] for line in await two.lines(3)} == {"completed", "drained"}


async def test_workers_whose_supervisor_is_killed_drain_and_end(two: Tenant) -> None:
    pids = [each["pid"] for each in (await workers(two)).values()]

    async def ended() -> bool:
        return all(map(gone, pids))

    child = two.place.gateway.child
    assert child is not None
    try:
        async with stream(two, 50) as (_, _, parts):
            child.kill()
            assert b"".join([part async for part in parts]).endswith(b"data: [DONE]\n\n")
        await eventually(ended, within=30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


async def test_a_second_gateway_on_the_same_port_is_told_so_in_one_sentence(two: Tenant) -> None:
    env = dict(two.place.gateway.env) | {"IAS_GATEWAY_METRICS_PORT": str(free_port())}
    argv = [str(BIN / "ias-gateway"), "--workers", "2"]
    second = await asyncio.to_thread(
        subprocess.run, argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 1
    assert "is taken; set IAS_GATEWAY_PORT" in second.stderr
    assert second.stderr.count("\n") == 1
    assert (await workers(two))["0"]["restarts"] == 0


@pytest.mark.parametrize("number", ["0", "-1", "many", "257"])
def test_a_number_of_workers_that_cannot_be_is_refused(number: str) -> None:
    argv = [str(BIN / "ias-gateway"), f"--workers={number}"]
    refused = subprocess.run(argv, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=60)
    assert refused.returncode == 2
    assert "give a number from 1 to 256" in refused.stderr


async def test_a_single_worker_has_no_supervisor(tenant: Tenant) -> None:
    child = tenant.place.gateway.child
    assert child is not None
    assert psutil.Process(child.pid).children() == []
    assert "workers" not in (await get(tenant, "/health")).json()

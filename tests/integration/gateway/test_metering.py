"""A gateway reads what engines count when a worker wants it, one of all at a time, and tells how long requests took."""

import asyncio
import time
from collections.abc import AsyncIterator

import msgspec
import pytest

from ias.contract import readings
from ias.contract.addresses import networks
from ias.contract.readings import Reading
from ias.contract.usage import Facts
from ias.edge import Edge
from ias_gateway.addresses import Addresses
from ias_gateway.log import Log
from ias_gateway.metering import counted, turn
from ias_gateway.store import Store, open_store
from tests.integration.gateway.place import Place, Tenant, eventually
from tests.integration.gateway.raw_engine import Call, raw_engine, whole
from tests.services import free_port

EXPOSITION = b"""# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{engine="0",model_name="a"} 100.0
vllm:prompt_tokens_total{engine="1",model_name="a"} 1.5e+03
vllm:prompt_tokens_created{engine="0",model_name="a"} 1.7e+09
vllm:generation_tokens_total{engine="0",model_name="a"} 40.0
vllm:request_success_total{engine="0",finished_reason="stop",model_name="a"} 3.0
vllm:request_success_total{engine="0",finished_reason="abort",model_name="a"} 1.0
process_start_time_seconds 1.7e+09
"""
LOCAL = Addresses(networks("127.0.0.0/8"), Log("gateway", "ERROR"))


@pytest.fixture
async def edge(shared: Place) -> AsyncIterator[Edge]:
    made = Edge(shared.redis.url)
    yield made
    await made.close()


@pytest.fixture
async def store(shared: Place) -> AsyncIterator[Store]:
    made = open_store(shared.redis.url, 2.0, lambda same, here: None)  # noqa: ARG005 - nobody waits
    made.start()
    yield made
    await made.close()


async def its_turn(edge: Edge, store: Store, url: str) -> Reading:
    """What is read in a turn now, by this gateway or by the one that took the turn from it."""
    moment = time.time()
    found: list[Reading] = []

    async def connected() -> bool:
        return store.connected

    async def fresh() -> bool:
        found[:] = [each for each in (await told(edge)).values() if each.url == url and each.at >= moment]
        return bool(found)

    await eventually(connected)
    await edge.call(("DEL", str(readings.take_turn("x")[1])))
    await turn("tests", store, LOCAL)
    await eventually(fresh)
    return found[0]


async def told(edge: Edge) -> dict[str, Reading]:
    return {each.url: each for each in readings.read_readings(await edge.call(readings.READINGS))}


def test_counters_are_those_of_all_cores_and_ways_to_end() -> None:
    assert counted("http://a", EXPOSITION, 1.8e9) == Reading("http://a", 1.8e9, 1.7e9, 1600, 40, 4)


@pytest.mark.parametrize("shown", [b"", b"hello", b"process_cpu_seconds_total 3\n", b"vllm:prompt_tokens_total e\n"])
def test_what_is_no_engine_of_vllms_tells_nothing(shown: bytes) -> None:
    assert counted("http://a", shown, 5.0) is None


@pytest.mark.parametrize(
    ("right", "absurd"), [(b"40.0", b"1e300"), (b"40.0", b"9007199254740992"), (b"1.7e+09\n", b"1e300\n")]
)
def test_what_no_engine_can_have_counted_tells_nothing(right: bytes, absurd: bytes) -> None:
    head, _, tail = EXPOSITION.rpartition(right)
    assert counted("http://a", head + absurd + tail, 1.8e9) is None


async def test_a_request_is_read_of_the_engine_as_the_caller_was_told(
    shared: Place, tenant: Tenant, edge: Edge, store: Store
) -> None:
    dead = f"http://127.0.0.1:{free_port()}"
    await edge.call(readings.want([shared.engine_url, dead]))
    before = await its_turn(edge, store, shared.engine_url)

    answer = await tenant.chat()

    used = answer.json()["usage"]
    after = await its_turn(edge, store, shared.engine_url)
    # Others call the same engine.
    assert after.prompt_tokens - before.prompt_tokens >= used["prompt_tokens"]
    assert after.generation_tokens - before.generation_tokens >= used["completion_tokens"]
    assert after.requests > before.requests
    assert dead not in await told(edge)


async def test_one_gateway_of_all_reads_at_a_time(edge: Edge, store: Store) -> None:
    async def shows(call: Call) -> None:
        await call.send(whole(EXPOSITION))

    async with raw_engine(shows) as engine:
        url = f"{engine.url}/one"  # what is asked at its root, it answers by itself
        await edge.call(readings.want([url]))
        assert (await its_turn(edge, store, url)).prompt_tokens == 1600
        await asyncio.gather(*(turn(f"other-{number}", store, LOCAL) for number in range(3)))
        assert [call.path for call in engine.calls] == ["/one/metrics"]
    await edge.call(readings.forget([url]))


async def test_it_is_told_how_long_a_request_was_in_the_gateway_before_its_engine_had_it(tenant: Tenant) -> None:
    await tenant.chat()

    (line,) = await tenant.lines()
    facts = msgspec.json.decode(line["f"], type=Facts)
    assert facts.queue_ms is not None
    assert facts.first_token_ms is not None
    assert 0 < facts.queue_ms <= facts.first_token_ms

"""What the engine tells about itself: the oracle's log, the control port, the metrics."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.integration.dev.engine_place import CHAT, FULL, TEXT, Place, body, engine


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with engine(tmp_path_factory.mktemp("engine"), "--tokens", "12") as place:
        yield place


@pytest.fixture
def place(shared: Place) -> Place:
    shared.reset()
    return shared


async def send(place: Place, path: str, fields: object, request_id: str = "it") -> httpx.Response:
    async with httpx.AsyncClient(base_url=place.url) as client:
        return await client.post(path, json=fields, headers={"x-request-id": request_id})


async def exhaust(chunks: AsyncIterator[bytes]) -> None:
    async for _ in chunks:
        pass


@pytest.mark.parametrize("stream", [False, True])
async def test_a_finished_request_is_logged_with_what_was_written(place: Place, stream: bool) -> None:
    name = f"finished-{stream}"
    await send(place, CHAT, body("[[mock tokens=20 delay_ms=1]]", stream=stream, cache_salt="s"), name)
    line = await place.line(name)
    assert (line["outcome"], line["status"], line["stream"], line["path"]) == ("finished", 200, stream, CHAT)
    assert (line["prompt_tokens"], line["completion_tokens"], line["generated_tokens"]) == (6 + 8, 20, 20)
    assert (line["model"], line["salt"]) == ("mock-gpt", "s")
    assert line["started_at"] < line["ended_at"]


async def test_refused_requests_are_logged_too(place: Place) -> None:
    assert (await send(place, CHAT, body("[[mock status=503]]"), "told")).status_code == 503
    assert (await send(place, TEXT, {"prompt": ""}, "bad")).status_code == 400
    for name, status in (("told", 503), ("bad", 400)):
        line = await place.line(name)
        assert (line["outcome"], line["status"], line["prompt_tokens"]) == ("refused", status, 0)


async def test_settings_change_what_requests_do_until_they_are_reset(place: Place) -> None:
    assert place.settings(tokens=3)["tokens"] == 3
    answer = await send(place, CHAT, body())
    assert answer.json()["usage"]["completion_tokens"] == 3
    assert (await send(place, CHAT, body("[[mock tokens=2]]"))).json()["usage"]["completion_tokens"] == 2
    place.reset()
    assert (await send(place, CHAT, body())).json()["usage"]["completion_tokens"] == 12


async def test_a_setting_that_is_not_known_is_refused_and_named(place: Place) -> None:
    async with httpx.AsyncClient(base_url=place.control) as client:
        answer = await client.put("/settings", json={"tokns": 3})
    assert (answer.status_code, "tokns" in answer.text) == (400, True)
    assert place.told("/settings")["tokens"] == 12


async def test_the_block_of_the_prefix_cache_can_be_set(place: Place) -> None:
    place.settings(cache_block=128)
    text = "a long prompt of many tokens " * 80
    answers = [await send(place, CHAT, body(text)) for _ in range(2)]
    found = [answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"] for answer in answers]
    assert found == [0, 512]


async def test_the_control_port_tells_what_is_over_and_what_runs(place: Place) -> None:
    await send(place, CHAT, body(), "over")
    (over,) = place.told("/log")
    assert over["request_id"] == "over"
    async with httpx.AsyncClient(base_url=place.url) as client:
        asked = body("[[mock delay_ms=50 tokens=100]]", stream=True)
        async with client.stream("POST", CHAT, json=asked, headers={"x-request-id": "runs"}) as answer:
            await anext(chunks := answer.aiter_bytes())
            (running,) = place.told("/running")
            assert (await client.get("/load")).json() == {"server_load": 1}
            assert place.metric("vllm:num_requests_running") == 1
            assert 0 < place.metric("vllm:kv_cache_usage_perc") < 1
            await chunks.aclose()
    assert (running["request_id"], running["outcome"]) == ("runs", "running")
    await place.line("runs")
    (later,) = place.told(f"/log?since={over['number'] + 1}")
    assert (later["request_id"], later["outcome"]) == ("runs", "aborted")
    assert place.told("/running") == []


async def test_counters_agree_with_usage_to_the_token(place: Place) -> None:
    prompt = completion = 0
    for number in range(5):
        answer = await send(place, CHAT, body(f"[[mock tokens={number + 1}]]" + "x" * 100 * number, max_tokens=3))
        usage = answer.json()["usage"]
        prompt, completion = prompt + usage["prompt_tokens"], completion + usage["completion_tokens"]
    await send(place, CHAT, body(stream=True, stream_options=FULL))
    assert place.metric("vllm:prompt_tokens_total") == prompt + 8
    assert place.metric("vllm:generation_tokens_total") == completion + 12
    assert place.metric('vllm:request_success_total{engine="0",finished_reason="stop",model_name="mock-gpt"}') == 4
    assert place.metric('vllm:request_success_total{engine="0",finished_reason="length",model_name="mock-gpt"}') == 2
    assert place.metric('vllm:time_to_first_token_seconds_count{engine="0",model_name="mock-gpt"}') == 6
    assert place.metric("vllm:prefix_cache_queries_total") == prompt + 8
    assert place.metric("vllm:num_requests_running") == place.metric("vllm:kv_cache_usage_perc") == 0


async def test_finished_requests_are_in_the_log_after_a_kill_and_the_log_is_gone_on_with(tmp_path: Path) -> None:
    with engine(tmp_path) as own:
        await send(own, CHAT, body(), "before")
        async with httpx.AsyncClient(base_url=own.url) as client:
            asked = body("[[mock delay_ms=50 tokens=100]]", stream=True)
            async with client.stream("POST", CHAT, json=asked, headers={"x-request-id": "cut"}) as answer:
                await anext(chunks := answer.aiter_bytes())
                own.process.kill()
                with pytest.raises(httpx.HTTPError):
                    await exhaust(chunks)
        own.process.start()
        own.process.wait_ready()
        await send(own, CHAT, body(), "after")
        names = [msgspec.json.decode(line)["request_id"] for line in own.log.read_bytes().splitlines()]
        assert names == ["before", "after"]


async def test_sigterm_ends_it_at_once_and_open_streams_are_logged(tmp_path: Path) -> None:
    with engine(tmp_path) as own:
        async with httpx.AsyncClient(base_url=own.url) as client:
            asked = body("[[mock delay_ms=50 tokens=1000]]", stream=True)
            async with client.stream("POST", CHAT, json=asked, headers={"x-request-id": "open"}) as answer:
                await anext(chunks := answer.aiter_bytes())
                assert await asyncio.to_thread(own.process.end) == 0
                await chunks.aclose()
        line = await own.line("open")
        assert (line["outcome"], line["completion_tokens"] >= 1) == ("aborted", True)


async def test_a_taken_port_is_said_in_a_sentence(place: Place, tmp_path: Path) -> None:
    port = httpx.URL(place.url).port
    with engine(tmp_path) as own:
        own.process.end()
        own.process.argv = (*own.process.argv[:4], str(port))
        own.process.start()
        assert await asyncio.to_thread(own.process.child.wait, 10) == 1
        assert f"Error: Port {port}" in own.process.log.read_text()

"""What the engine does when it is told to fail, and when clients leave, lag behind or send oddly."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.integration.dev.engine_place import CHAT, FULL, TEXT, Place, body, engine, events, opened, raw


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with engine(tmp_path_factory.mktemp("engine"), "--max-model-len", "100000") as place:
        yield place


async def read_until(reader: asyncio.StreamReader, mark: bytes) -> bytes:
    told = b""
    while mark not in told:
        told += (more := await asyncio.wait_for(reader.read(65_536), 30))
        assert more, told
    return told


def counted(stream: bytes) -> int:
    """Tokens of the last running usage."""
    return int(stream.rpartition(b'"completion_tokens":')[2].split(b",")[0].split(b"}")[0])


@pytest.mark.parametrize("delay", [0, 3])
async def test_a_stream_told_to_die_is_reset_after_its_tokens_were_read(place: Place, delay: int) -> None:
    name = f"die-{delay}"
    asked = body(f"[[mock tokens=20 die_after=5 delay_ms={delay}]]", stream=True, stream_options=FULL)
    async with opened(place) as (reader, writer):
        writer.write(raw(CHAT, asked, f"x-request-id: {name}"))
        told = await read_until(reader, b'"completion_tokens":5,')
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(65_536), 30)
    assert counted(told) == 5
    line = await place.line(name)
    assert (line["outcome"], line["completion_tokens"]) == ("died", 5)


async def test_a_whole_answer_told_to_die_was_made_and_never_written(place: Place) -> None:
    async with httpx.AsyncClient(base_url=place.url) as client:
        with pytest.raises(httpx.ReadError):
            await client.post(CHAT, json=body("[[mock tokens=20 die_after=5]]"), headers={"x-request-id": "whole"})
    line = await place.line("whole")
    assert (line["outcome"], line["completion_tokens"], line["generated_tokens"]) == ("died", 0, 5)


async def test_a_hanging_stream_is_silent_and_stays_open_until_the_client_goes(place: Place) -> None:
    async with opened(place) as (reader, writer):
        asked = body("[[mock tokens=20 hang_after=3]]", stream=True, stream_options=FULL)
        writer.write(raw(CHAT, asked, "x-request-id: hangs"))
        told = await read_until(reader, b'"completion_tokens":3')
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.3)
    assert counted(told) == 3
    assert (await place.line("hangs"))["completion_tokens"] == 3


async def test_the_head_of_a_stream_comes_before_its_first_token(place: Place) -> None:
    async with opened(place) as (reader, writer):
        writer.write(raw(CHAT, body("[[mock hang_after=0]]", stream=True)))
        assert (await read_until(reader, b"\r\n\r\n")).endswith(b"\r\n\r\n")


async def test_a_first_byte_can_be_made_to_wait_and_is_not_sent_to_one_who_left(place: Place) -> None:
    async with opened(place) as (reader, writer):
        writer.write(raw(CHAT, body("[[mock first_ms=60000]]", stream=True), "x-request-id: waits"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)
    line = await place.line("waits")
    assert (line["outcome"], line["prompt_tokens"], line["completion_tokens"]) == ("aborted", 0, 0)


@pytest.mark.parametrize("delay", [0, 2])
async def test_an_error_in_a_stream_is_followed_by_its_end_mark(place: Place, delay: int) -> None:
    name = f"error-{delay}"
    async with httpx.AsyncClient(base_url=place.url) as client:
        asked = body(f"[[mock tokens=9 error_chunk_after=4 delay_ms={delay}]]", stream=True, stream_options=FULL)
        answer = await client.post(CHAT, json=asked, headers={"x-request-id": name})
        assert (await client.post(CHAT, json=body("[[mock error_chunk_after=4]]"))).status_code == 500
    told = events(answer.content)
    assert told[-1] == "[DONE]"
    assert told[-2]["error"] == {
        "message": "Internal server error",
        "type": "InternalServerError",
        "param": None,
        "code": 500,
    }
    assert told[-3]["usage"]["completion_tokens"] == 4
    line = await place.line(name)
    assert (line["outcome"], line["completion_tokens"]) == ("error", 4)


@pytest.mark.parametrize("fault", ["die_after", "hang_after", "error_chunk_after"])
async def test_a_fault_beyond_the_answers_end_does_not_happen(place: Place, fault: str) -> None:
    async with httpx.AsyncClient(base_url=place.url) as client:
        answer = await client.post(CHAT, json=body(f"[[mock tokens=5 {fault}=6]]", stream=True, stream_options=FULL))
    assert events(answer.content)[-2]["usage"]["completion_tokens"] == 5


async def test_any_status_can_be_asked_for(place: Place) -> None:
    async with httpx.AsyncClient(base_url=place.url) as client:
        busy = await client.post(TEXT, json={"prompt": "[[mock status=503]]"})
        limited = await client.post(CHAT, json=body("[[mock status=429]]"))
        unclear = await client.post(CHAT, json=body("[[mock stats=429]]"))
    error = busy.json()["error"]
    assert (busy.status_code, error["type"], error["code"]) == (503, "Service Unavailable", 503)
    assert error["message"].startswith("The engine is currently busy")
    assert (limited.status_code, limited.json()["error"]["code"]) == (429, 429)
    assert (unclear.status_code, "stats" in unclear.json()["error"]["message"]) == (400, True)


async def test_an_engine_told_to_refuse_connections_does_and_takes_them_again(place: Place) -> None:
    async with httpx.AsyncClient(base_url=place.url) as kept:
        await kept.get("/health")
        place.settings(refuse_connections=True)
        try:
            async with httpx.AsyncClient(base_url=place.url) as fresh:
                with pytest.raises(httpx.ConnectError):
                    await fresh.get("/health")
            # The kept connection was closed; a request may have left before its end was seen.
            with pytest.raises(httpx.TransportError):
                await kept.get("/health")
        finally:
            place.settings(refuse_connections=False)
        assert (await kept.get("/health")).status_code == 200


async def begun(place: Place) -> None:
    """Wait until the engine works on a request."""
    async with asyncio.timeout(30):
        while not place.told("/running"):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def stalled(place: Place) -> int:
    """What the one request that runs has written, once that grows no longer."""
    before = -1
    async with asyncio.timeout(30):
        while (now := place.told("/running")[0]["completion_tokens"]) != before or not now:
            before = now
            await asyncio.sleep(0.3)
    return before


@pytest.mark.parametrize("stream", [True, False])
async def test_when_the_client_leaves_nothing_more_is_made(place: Place, stream: bool) -> None:
    before = place.metric("vllm:generation_tokens_total")
    asked = body("[[mock tokens=5000 delay_ms=10]]", stream=stream, stream_options=FULL if stream else None)
    name = f"leaves-{stream}"
    async with opened(place) as (reader, writer):
        writer.write(raw(CHAT, asked, f"x-request-id: {name}"))
        if stream:
            read = counted(await read_until(reader, b'"completion_tokens":10,'))
        else:
            read = 0
            await begun(place)
            await asyncio.sleep(0.2)
    line = await place.line(name)
    assert line["outcome"] == "aborted"
    assert line["completion_tokens"] >= read
    assert (line["completion_tokens"] == 0) == (not stream)
    assert 5 <= line["generated_tokens"] < 1000
    await asyncio.sleep(0.1)
    assert place.metric("vllm:generation_tokens_total") - before == line["generated_tokens"]


async def test_a_client_that_does_not_read_stops_the_writing_and_gets_all_when_it_does(place: Place) -> None:
    asked = {"prompt": "much", "max_tokens": 60_000, "ignore_eos": True, "stream": True, "stream_options": FULL}
    async with opened(place) as (reader, writer):
        writer.write(raw(TEXT, asked, "x-request-id: slow"))
        await begun(place)
        assert 0 < await stalled(place) < 60_000
        tail = b""
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            tail = (tail + await asyncio.wait_for(reader.read(1 << 20), 30))[-2000:]
    assert b'"completion_tokens":60000,' in tail
    assert (await place.line("slow"))["outcome"] == "finished"


async def test_requests_sent_ahead_are_answered_in_order(place: Place) -> None:
    async with opened(place) as (reader, writer):
        fields = [body(f"[[mock tokens={n} delay_ms=1]]", stream=n % 2 == 0, stream_options=None) for n in range(2, 32)]
        writer.write(b"".join(raw(CHAT, one, f"x-request-id: ahead-{n}") for n, one in enumerate(fields)))
        told = b""
        while told.count(b"HTTP/1.1 200 OK") < 30 or not told.endswith((b"null}", b"0\r\n\r\n")):
            told += await asyncio.wait_for(reader.read(65_536), 30)
    places = [told.index(b"x-request-id: ahead-%d\r\n" % n) for n in range(30)]
    assert places == sorted(places)


async def test_a_body_in_chunks_is_taken(place: Place) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b'{"model":"mock-gpt","mess', b'ages":[{"role":"user","content":"hel', b'lo"}]}'):
            yield piece

    async with httpx.AsyncClient(base_url=place.url) as client:
        headers = {"content-type": "application/json", "expect": "100-continue"}
        answer = await client.post(CHAT, content=pieces(), headers=headers)
    assert answer.json()["usage"]["prompt_tokens"] == 8


async def test_a_client_that_wants_no_more_is_closed_on(place: Place) -> None:
    async with opened(place) as (reader, writer):
        writer.write(raw(CHAT, body(), "connection: close"))
        told = await asyncio.wait_for(reader.read(), 30)
    assert b"connection: close" in told
    assert told.endswith(b'"metrics":null}')


async def test_what_is_not_http_is_closed_on(place: Place) -> None:
    async with opened(place) as (reader, writer):
        writer.write(b"hello there\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 30)).startswith(b"HTTP/1.1 400")


async def test_a_stream_keeps_its_pace_and_a_burst_goes_out_at_once(place: Place) -> None:
    async with opened(place) as (reader, writer):
        writer.write(raw(CHAT, body("[[mock tokens=6 delay_ms=500]]", stream=True, stream_options=FULL)))
        first = await read_until(reader, b'"completion_tokens":1,')
        assert counted(first) < 5
        await read_until(reader, b"[DONE]")
        writer.write(raw(CHAT, body("[[mock tokens=64]]", stream=True, stream_options=FULL)))
        assert b"[DONE]" in await asyncio.wait_for(reader.read(1 << 20), 30)

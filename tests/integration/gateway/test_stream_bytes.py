"""What the client gets is byte for byte what the engine sent, less the usage that it did not ask for."""

import asyncio
import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import psutil
import pytest

from ias_gateway import sse
from tests.integration.gateway.place import CHAT, Place, Tenant, place_of
from tests.integration.gateway.raw_engine import CHUNKED, END, STREAM, Behave, Call, RawEngine, chunked, raw_engine
from tests.services import Services
from tests.unit.gateway.streams import DONE, ERROR, Script

WISHES = {
    "nothing": (None, False, False),
    "no usage": ({"include_usage": False}, False, False),
    "the final usage": ({"include_usage": True}, True, False),
    "running usage": ({"include_usage": True, "continuous_usage_stats": True}, True, True),
    "running usage alone": ({"include_usage": False, "continuous_usage_stats": True}, False, False),
}
"""What the client says, and whether it gets the final usage and the running one."""
TEXTS = ["Größe ", "😀\u2028", 'data: {"choices":[],"usage":{', "\r\n\r\ndata: [DONE]\n\n", "]}", '{"error":']


@pytest.fixture(scope="module")
def patient(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway with time limits that no slow machine reaches."""
    with place_of(services, tmp_path_factory.mktemp("patient")) as place:
        yield place


@pytest.fixture
async def tenant(patient: Place, tenants: Callable[[Place], Tenant]) -> Tenant:
    made = tenants(patient)
    await made.edge.load_library()
    return await made.begin()


async def stream(tenant: Tenant, behave: Behave, **body: Any) -> tuple[bytes, RawEngine]:
    """What the client gets of an engine that behaves so."""
    async with raw_engine(behave) as engine:
        await tenant.route((engine.url,))
        answer = await tenant.chat(stream=True, **body)
    assert answer.status_code == 200
    return answer.content, engine


def sending(*slices: bytes, pause: float = 0.0) -> Behave:
    async def behave(call: Call) -> None:
        await call.send(*slices, pause=pause)

    return behave


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """The data in pieces that end at these places."""
    return [data[start:end] for start, end in pairwise(sorted({0, len(data), *(max(0, place) for place in places)}))]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("wish", WISHES)
async def test_one_byte_at_a_time_gives_the_engines_bytes_less_the_usage(
    tenant: Tenant, wish: str, newline: str
) -> None:
    options, final, running = WISHES[wish]
    script = Script(texts=["Größe ", "😀"], cached=16, newline=newline)
    sent = CHUNKED + chunked([script.stream()]) + END
    got, _ = await stream(tenant, sending(*(bytes([byte]) for byte in sent)), stream_options=options)
    assert got == script.for_client(include_usage=final, continuous=running)
    (line,) = await tenant.lines()
    assert (line["o"], int(line["pt"]), int(line["ct"]), line["e"]) == ("completed", 34, 2, "0")


@pytest.mark.parametrize("seed", range(24))
async def test_reads_and_http_chunks_may_end_anywhere(tenant: Tenant, seed: int) -> None:
    chance = random.Random(seed)
    wish = chance.choice(list(WISHES))
    options, final, running = WISHES[wish]
    script = Script(
        prompt=chance.randrange(10**5),
        cached=chance.randrange(500),
        texts=chance.choices(TEXTS, k=chance.randrange(1, 12)),
        newline=chance.choice(["\n", "\r\n"]),
        running=chance.random() < 0.8,
    )
    body = script.stream()
    chunks = cut(body, [chance.randrange(len(body)) for _ in range(chance.randrange(30))])
    sent = CHUNKED + chunked(chunks) + END
    slices = cut(sent, [chance.randrange(len(sent)) for _ in range(chance.randrange(40))])
    got, _ = await stream(tenant, sending(*slices, pause=chance.choice([0, 0.002])), stream_options=options)
    assert got == script.for_client(include_usage=final, continuous=running), (wish, script)
    (line,) = await tenant.lines()
    expected = script.tokens
    assert expected is not None
    assert (line["o"], int(line["pt"]), int(line["ct"])) == ("completed", *expected[:2])


@pytest.mark.parametrize("framing", ["chunk extensions and a trailer", "a length", "the end of the connection"])
async def test_every_framing_of_http_gives_the_same_bytes(tenant: Tenant, framing: str) -> None:
    script = Script(texts=TEXTS)
    body = script.stream()

    async def behave(call: Call) -> None:
        if framing == "a length":
            await call.send(STREAM + b"content-length: %d\r\n\r\n" % len(body), *cut(body, [7, 300]), pause=0.01)
        elif framing == "the end of the connection":
            await call.send(STREAM + b"connection: close\r\n\r\n", *cut(body, [7, 300]), pause=0.01)
            call.close()
        else:
            lines = b"".join(b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in cut(body, [7, 300]))
            await call.send(CHUNKED, lines, b"0\r\nx-trailer: y\r\n\r\n", pause=0.01)

    got, _ = await stream(tenant, behave)
    assert got == script.for_client(include_usage=False, continuous=False)
    assert (await tenant.lines())[0]["o"] == "completed"


async def test_comments_and_lines_that_are_no_data_pass_as_they_are(tenant: Tenant) -> None:
    events = Script().events(usage=False, final=False)
    extra = [b": a comment\n\n", b"event: response.created\nid: 7\n" + events[0], b"retry: 3000\n\n", b":\r\n\r\n"]
    sent = b"".join([*extra, *events[1:]])
    got, _ = await stream(tenant, sending(CHUNKED, *(chunked([bytes([byte])]) for byte in sent), END))
    assert got == sent


@pytest.mark.parametrize("options", [None, {"include_usage": True, "continuous_usage_stats": True}])
async def test_an_event_of_a_mebibyte_passes_whole(tenant: Tenant, options: dict[str, bool] | None) -> None:
    script = Script(texts=["a", "ü" * 2**19, "b"])
    sent = CHUNKED + chunked(cut(script.stream(), list(range(0, 2**20, 60_001)))) + END
    got, _ = await stream(tenant, sending(*cut(sent, list(range(0, len(sent), 9_973)))), stream_options=options)
    assert got == script.for_client(include_usage=bool(options), continuous=bool(options))
    assert (await tenant.lines())[0]["ct"] == "3"


async def test_an_event_without_end_is_refused_and_its_engine_left(tenant: Tenant) -> None:
    process = psutil.Process(tenant.place.gateway.child.pid)
    sent = 0

    async def behave(call: Call) -> None:
        nonlocal sent
        events = Script().events(usage=True, final=True)
        await call.send(CHUNKED, chunked(events[:3]), chunked([b"data: "]))
        while not call.left.is_set():
            await call.send(chunked([b"x" * 2**16]))
            sent += 2**16

    before = process.memory_info().rss
    async with raw_engine(behave) as engine:
        await tenant.route((engine.url,))
        answer = await tenant.chat(stream=True)
        await asyncio.wait_for(engine.calls[0].until_left(), 20)
        assert process.memory_info().rss - before < 6 * sse.MAX_EVENT_BYTES
    # The sockets between may hold some mebibytes more than what the gateway has read.
    assert sent < sse.MAX_EVENT_BYTES + 2**24
    told, mark, error = answer.content.partition(b'data: {"error":')
    assert told == b"".join(Script().events(usage=False, final=False)[:3])
    assert mark
    assert b'"upstream_error"' in error
    assert DONE not in error
    assert len(error) < 1000
    (line,) = await tenant.lines()
    assert (line["o"], line["pt"], line["ct"]) == ("upstream_failed", "34", "2")


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("place", [0, 1, 3])
async def test_an_error_inside_the_stream_is_its_end_and_only_what_was_reported_is_charged(
    tenant: Tenant, place: int, together: bool
) -> None:
    events = [*Script().events(usage=True, final=True)[:place], ERROR, DONE]
    slices = [chunked(events) + END] if together else [*(chunked([event]) for event in events), END]
    got, _ = await stream(tenant, sending(CHUNKED, *slices, pause=0.01))
    told = b"".join(Script().events(usage=False, final=False)[:place])
    assert got.startswith(told)
    rest = got[len(told) :]
    assert rest.startswith(b'data: {"error":')
    assert rest.endswith(b"\n\n")
    assert b"EngineCore" not in rest
    assert rest.count(b"data:") == 1
    (line,) = await tenant.lines()
    charged = ("34", str(place - 1)) if place else ("0", "0")
    assert (line["o"], line["pt"], line["ct"], line["e"]) == ("upstream_failed", *charged, "0")


@pytest.mark.parametrize("seed", range(20))
async def test_an_engine_that_dies_anywhere_ends_in_an_error_and_never_in_an_end_mark(
    tenant: Tenant, seed: int
) -> None:
    script = Script(texts=["one ", "two ", "three", "."])
    body = chunked([script.stream()] if seed % 2 else script.events(usage=True, final=True))
    place = random.Random(seed).randrange(body.rindex(b"data: [DONE]")) if seed else 0
    got = await _until_death(tenant, body[:place], rudely=seed % 3 == 0)
    told, mark, error = got.rpartition(b'data: {"error":')
    assert mark
    assert b'"upstream_error"' in error
    assert error.endswith(b"\n\n")
    assert DONE not in got
    assert script.for_client(include_usage=False, continuous=False).startswith(told)
    assert told == b"" or told.endswith(b"\n\n")
    (line,) = await tenant.lines()
    assert (line["o"], line["e"]) == ("upstream_failed", "0")
    # The first event has no token.
    assert int(line["ct"]) == max(0, told.count(b"data:") - 1)


async def _until_death(tenant: Tenant, sent: bytes, *, rudely: bool) -> bytes:
    """What the client gets of an engine that dies behind these bytes, once the client has the head of the answer."""
    begun = asyncio.Event()

    async def behave(call: Call) -> None:
        await call.send(CHUNKED)
        await asyncio.wait_for(begun.wait(), 20)
        await call.send(*cut(sent, [len(sent) - 1]), pause=0.01)
        call.reset() if rudely else call.close()

    async with raw_engine(behave) as engine:
        await tenant.route((engine.url,))
        request = tenant.place.client.stream("POST", CHAT, json=tenant.body(stream=True), headers=tenant.headers)
        async with request as answer:
            begun.set()
            return await answer.aread()


async def test_what_an_engine_sends_behind_its_end_mark_changes_nothing(tenant: Tenant) -> None:
    script = Script()
    sent = CHUNKED + chunked([script.stream(), b": farewell\n\n"]) + END
    got, _ = await stream(tenant, sending(sent))
    assert got == script.for_client(include_usage=False, continuous=False) + b": farewell\n\n"
    assert (await tenant.lines())[0]["o"] == "completed"


async def test_each_piece_leaves_as_soon_as_it_has_come(tenant: Tenant) -> None:
    events = Script(texts=["a"] * 20).events(usage=True, final=False)
    shown = asyncio.Queue[bytes]()

    async def behave(call: Call) -> None:
        await call.send(CHUNKED)
        for event in events:
            await call.send(chunked([event]))
            # Nothing more is sent before the client has this.
            assert await asyncio.wait_for(shown.get(), 20)
        await call.send(END)

    async with raw_engine(behave) as engine:
        await tenant.route((engine.url,))
        request = tenant.place.client.stream("POST", CHAT, json=tenant.body(stream=True), headers=tenant.headers)
        async with request as answer:
            got = []
            async for part in answer.aiter_bytes():
                got.append(part)
                shown.put_nowait(part)
    assert got == Script(texts=["a"] * 20).events(usage=False, final=False)

"""Whom a gateway with strict settings hears out: by which name, how long to send, and how long to read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager

import msgspec
import psutil
import pytest

from tests.integration.gateway.place import Place, Tenant, eventually, place_of
from tests.integration.gateway.raw_engine import CHUNKED, Behave, Call, RawEngine, chunked, raw_engine, whole
from tests.integration.gateway.wire import HEAD, HOST, request, wired
from tests.services import Services
from tests.unit.gateway.streams import Script

READERS = 16
MOST_EACH = 2 * 1024 * 1024
"""What a client that does not read may cost: 256 KiB, the read that passed them, and what the allocator keeps."""
LIMITS = {"HEAD_TIMEOUT": 3, "BODY_TIMEOUT": 4, "STALLED_TIMEOUT": 4}
"""Longer than a busy machine stalls between two steps of a test."""
TOKENS = 8
EVENT = Script(texts=["word "] * TOKENS).events(usage=True, final=False)[-2]
EVENTS = 240
BLOCK = chunked([EVENT * EVENTS])
"""So many events that all report the same usage: wherever the stream is cut, it is that."""


@pytest.fixture(scope="module")
def hasty(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway with little patience for clients."""
    settings = {f"IAS_{name}": str(seconds) for name, seconds in LIMITS.items()}
    settings["IAS_ALLOWED_HOSTS"] = "localhost, api.example:8443"
    with place_of(services, tmp_path_factory.mktemp("hasty"), **settings) as place:
        yield place


@pytest.fixture
async def caller(hasty: Place, tenants: Callable[[Place], Tenant]) -> Tenant:
    made = tenants(hasty)
    await made.edge.load_library()
    return await made.begin()


@asynccontextmanager
async def served_by(caller: Tenant, behave: Behave) -> AsyncIterator[RawEngine]:
    async with raw_engine(behave) as engine:
        await caller.route((engine.url,))
        yield engine


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "api.example", "api.example:80", "[::1]"])
async def test_who_asks_for_another_host_is_sent_away(caller: Tenant, host: str) -> None:
    async with wired(caller.place) as wire:
        wire.send(request(caller).replace(HOST, f"host: {host}\r\n".encode()))
        status, headers, body = await wire.answer()
        assert (status, headers["connection"]) == (421, "close")
        assert "base URL" in msgspec.json.decode(body)["error"]["message"]
        assert await wire.rest() == b""


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "api.example:8443", "Api.Example:8443"])
async def test_who_asks_for_a_host_of_the_list_is_served(caller: Tenant, host: str) -> None:
    async with wired(caller.place) as wire:
        for _ in range(2):
            wire.send(request(caller, max_tokens=1).replace(HOST, f"host: {host}\r\n".encode()))
            assert (await wire.answer())[0] == 200


@pytest.mark.parametrize(
    "sent",
    [b"P", HEAD[:20], HEAD + HOST + b"x: ", HEAD + HOST + b"content-length: 9\r\n\r\n", HEAD + HOST + b"expect: x\r\n"],
)
async def test_what_does_not_come_in_time_is_a_408(caller: Tenant, sent: bytes) -> None:
    async with wired(caller.place) as wire:
        wire.send(sent)
        status, headers, body = await wire.answer()
        assert (status, headers["connection"]) == (408, "close")
        assert "in time" in msgspec.json.decode(body)["error"]["message"]
        assert await wire.rest() == b""


async def test_a_head_that_comes_drop_by_drop_has_no_more_time_than_another(caller: Tenant) -> None:
    async with wired(caller.place) as wire:

        async def drip() -> None:
            wire.send(HEAD + HOST + b"x: ")
            while True:
                wire.send(b"y")
                await asyncio.sleep(0.2)

        dripping = asyncio.create_task(drip())
        assert (await wire.answer())[0] == 408
        dripping.cancel()


async def test_a_body_that_comes_at_less_than_a_kilobyte_a_second_is_a_408(tenant: Tenant) -> None:
    async with wired(tenant.place) as wire:
        key = f"authorization: Bearer {tenant.token}\r\n".encode()
        wire.send(HEAD + HOST + key + b"content-length: 100000\r\n\r\n")

        async def drip() -> None:
            while True:
                wire.send(b"x" * 50)
                await asyncio.sleep(0.2)

        dripping = asyncio.create_task(drip())
        status, _, _ = await wire.answer(within=25)
        dripping.cancel()
        assert status == 408


async def test_a_connection_on_which_nothing_comes_is_closed_without_a_word(caller: Tenant) -> None:
    async with wired(caller.place) as wire:
        assert await wire.rest() == b""


async def test_clients_that_do_not_read_cost_little_and_are_given_up_and_settled(caller: Tenant) -> None:
    async def endless(call: Call) -> None:
        await call.send(CHUNKED)
        while not call.left.is_set():
            await call.send(BLOCK)

    assert caller.place.gateway.child is not None
    gateway = psutil.Process(caller.place.gateway.child.pid)
    async with served_by(caller, endless) as engine, AsyncExitStack() as stack:
        before = most = gateway.memory_info().rss
        for _ in range(READERS):
            wire = await stack.enter_async_context(wired(caller.place, slow=True))
            wire.send(request(caller, stream=True))
        await engine.called(READERS)

        async def all_left() -> bool:
            nonlocal most
            most = max(most, gateway.memory_info().rss)
            return all(call.left.is_set() for call in engine.calls)

        await eventually(all_left, within=60)
    assert most - before < READERS * MOST_EACH, f"{(most - before) // READERS // 1024} KiB for each"
    lines = await caller.lines(READERS)
    assert {(line["o"], line["ct"]) for line in lines} == {("client_aborted", str(TOKENS))}
    assert len({line["r"] for line in lines}) == READERS


async def test_an_answer_in_one_piece_that_is_not_read_is_given_up_too(caller: Tenant) -> None:
    usage = b'"usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}'
    answer = b'{"id":"%b",%b}' % (b"x" * 16 * 1024 * 1024, usage)

    async def large(call: Call) -> None:
        await call.send(whole(answer))

    async with served_by(caller, large), wired(caller.place, slow=True) as wire:
        wire.send(request(caller))
        assert [line["ct"] for line in await caller.lines()] == ["5"]
        writer = wire.writer

        async def closed() -> bool:
            # A client that reads nothing learns of it when it writes.
            wire.send(b" ")
            await asyncio.sleep(0)
            return writer.transport.is_closing()

        await eventually(closed, within=60)


async def test_a_client_that_reads_slowly_but_reads_gets_everything(caller: Tenant) -> None:
    blocks = 40

    async def generous(call: Call) -> None:
        await call.send(CHUNKED, *[BLOCK] * blocks)
        await call.send(chunked([b"data: [DONE]\n\n"]) + b"0\r\n\r\n")

    async with served_by(caller, generous), wired(caller.place, slow=True) as wire:
        wire.send(request(caller, stream=True))
        seen = bytearray()
        async with asyncio.timeout(60):
            while not seen.endswith(b"0\r\n\r\n"):
                piece = await wire.reader.read(65536)
                assert piece
                seen += piece
        assert seen.count(b'"content":"word "') == blocks * EVENTS
    assert [line["o"] for line in await caller.lines()] == ["completed"]

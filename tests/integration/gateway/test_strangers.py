"""Who has no key that is worth anything: what a gateway takes in of them, and that others do not notice."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack

import msgspec
import pytest

from ias.contract import keys
from tests.integration.gateway.place import Place, Tenant, eventually, place_of
from tests.integration.gateway.test_overload import begun, shed
from tests.integration.gateway.wire import FORM, HEAD, HOST, Wire, post, request, wired
from tests.services import Services

MIB = 1024 * 1024
LARGE = b'{"model":"mock-embed","input":"hello"}' + b" " * 100_000


@pytest.fixture(scope="module")
def place(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway that waits for what is slow to come on a busy machine."""
    with place_of(services, tmp_path_factory.mktemp("strangers"), IAS_BODY_TIMEOUT="120") as place:
        yield place


@pytest.fixture
async def wire(place: Place) -> AsyncIterator[Wire]:
    async with wired(place) as wire:
        yield wire


def invented() -> bytes:
    """The line with a key that is made as keys are, and that nobody has issued."""
    return f"authorization: Bearer {keys.mint(keys.new_tag())}\r\n".encode()


async def in_pieces(wire: Wire, whole: bytes) -> int:
    """The status of what is answered to a request that does not come in one read."""
    for piece in (whole[:400], whole[400:-400], whole[-400:]):
        wire.send(piece)
        await asyncio.sleep(0.02)
    return (await wire.answer(within=60))[0]


@pytest.mark.parametrize("key", [b"", b"authorization: Bearer sk-mine\r\n", b"authorization: Basic YTpi\r\n"])
async def test_who_shows_no_key_is_told_so_before_the_body_comes(wire: Wire, key: bytes) -> None:
    wire.send(FORM + HOST + key + b"content-length: 26000000\r\nexpect: 100-continue\r\n\r\n")
    status, headers, body = await wire.answer()
    assert (status, headers["connection"]) == (401, "close")
    assert msgspec.json.decode(body)["error"]["code"] == "invalid_api_key"
    assert headers["x-request-id"]
    assert await wire.rest() == b""


@pytest.mark.parametrize("line", [FORM, HEAD, b"POST /nowhere HTTP/1.1\r\n"])
async def test_a_body_in_chunks_of_who_shows_no_key_is_not_collected(wire: Wire, line: bytes) -> None:
    wire.send(line + HOST + b"transfer-encoding: chunked\r\n\r\n" + (b"1000\r\n" + b"x" * 4096 + b"\r\n") * 5)
    assert (await wire.answer())[0] == 401
    assert await wire.rest() == b""


async def test_a_small_request_without_a_key_leaves_the_connection_open(
    place: Place, wire: Wire, tenants: Callable[[Place], Tenant]
) -> None:
    tenant = await begun(place, tenants)
    wire.send(HEAD + HOST + b"content-length: 2\r\n\r\n{}")
    status, _, body = await wire.answer()
    assert (status, msgspec.json.decode(body)["error"]["code"]) == (401, "invalid_api_key")
    wire.send(request(tenant, max_tokens=1))
    assert (await wire.answer(within=60))[0] == 200


async def test_bodies_that_do_not_end_fill_their_room_and_no_more_and_small_requests_go_on(
    place: Place, tenants: Callable[[Place], Tenant]
) -> None:
    tenant = await begun(place, tenants)
    head = FORM + HOST + invented() + b"content-length: 26000000\r\n\r\n"
    async with AsyncExitStack() as stack:
        before = await shed(place, "bodies")
        senders = [await stack.enter_async_context(wired(place)) for _ in range(8)]
        for sender in senders:
            sender.send(head + bytes(24 * MIB))
        tasks = [asyncio.ensure_future(sender.answer(within=120)) for sender in senders]

        async def all_but_five() -> bool:
            return sum(task.done() for task in tasks) >= 3

        await eventually(all_but_five, within=60)
        for status, headers, body in [task.result() for task in tasks if task.done()]:
            assert (status, b'"server_overloaded"' in body) == (503, True)
            assert int(headers["retry-after-ms"]) >= 1000
        assert await shed(place, "bodies") >= before + 3
        small = await stack.enter_async_context(wired(place))
        assert await in_pieces(small, request(tenant, "word " * 1000, max_tokens=1)) == 200
        for task in tasks:
            task.cancel()
    async with wired(place) as wire:

        async def room_again() -> bool:
            return await in_pieces(wire, request(tenant, "word " * 60_000, max_tokens=1)) != 503

        await eventually(room_again, within=60)


@pytest.mark.parametrize(("length", "status"), [(100_000, 401), (1000, 400)])
async def test_a_large_body_with_a_key_that_nobody_issued_is_not_read(
    place: Place, wire: Wire, tenants: Callable[[Place], Tenant], length: int, status: int
) -> None:
    await begun(place, tenants)
    wire.send(HEAD + HOST + invented() + b"content-length: %d\r\n\r\n" % length + b"[" * length)
    assert (await wire.answer(within=60))[0] == status


async def test_who_may_call_is_told_what_is_wrong_with_a_large_body_and_served_with_a_good_one(
    place: Place, wire: Wire, tenants: Callable[[Place], Tenant]
) -> None:
    tenant = await begun(place, tenants)
    for body, status in ((b"[" * 100_000, 400), (LARGE, 200)):
        wire.send(post(tenant, body, path="/v1/embeddings"))
        assert (await wire.answer(within=60))[0] == status


async def test_a_key_that_is_withdrawn_is_refused_whatever_it_sends(
    place: Place, wire: Wire, tenants: Callable[[Place], Tenant]
) -> None:
    tenant = await begun(place, tenants)
    large = post(tenant, LARGE, path="/v1/embeddings")
    wire.send(large)
    assert (await wire.answer(within=60))[0] == 200
    await tenant.edge.revoke(tenant.tag, tenant.record, 2)
    wire.send(large)
    assert (await wire.answer(within=60))[0] == 401

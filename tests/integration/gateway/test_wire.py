"""HTTP/1.1 as it should not be: what is refused before anybody is asked, and what a connection survives."""

import asyncio
import re
from collections.abc import AsyncIterator
from uuid import UUID

import httpx
import msgspec
import pytest

from ias.contract import keys
from tests.integration.gateway.place import Tenant, eventually
from tests.integration.gateway.raw_client import RawClient
from tests.integration.gateway.wire import FORM, GET, HEAD, HOST, Wire, request, wired

KEY = f"authorization: Bearer {keys.mint(keys.new_tag())}\r\n".encode()
"""A key that nobody has issued."""


@pytest.fixture
async def wire(tenant: Tenant) -> AsyncIterator[Wire]:
    async with wired(tenant.place) as wire:
        yield wire


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (GET + b"\r\n", 400),
        (GET + HOST + HOST + b"\r\n", 400),
        (GET + b"host: a/?x#\r\n\r\n", 400),
        (GET + b"host: user@a\r\n\r\n", 400),
        (GET + HOST + b"authorization: Bearer a\r\nauthorization: Bearer b\r\n\r\n", 400),
        (b"GET http://localhost/v1/models HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"TRACE /v1/models HTTP/1.1\r\n" + HOST + b"\r\n", 405),
        (b"PROPFIND /v1/models HTTP/1.1\r\n" + HOST + b"\r\n", 405),
        (b"GET //localhost HTTP/9.9\r\n" + HOST + b"\r\n", 400),
        (b"GET v1/models HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /v1/models\r\n\r\n", 400),
        (b"get /v1/models HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /v1/mo\x00dels HTTP/1.1\r\n" + HOST + b"\r\n", 400),
        (b"GET /v1/models HTTP/1.1\n" + HOST + b"\r\n", 400),
        (GET + b"host: localhost\n\n", 400),
        (GET + HOST + b"x: a\rb\r\n\r\n", 400),
        (GET + HOST + b": a\r\n\r\n", 400),
        (GET + HOST + b"x\x00: a\r\n\r\n", 400),
        (GET + HOST + b"content-type: application/json\r\ncontent-type: text/plain\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (GET + HOST + b"x: a\r\n b\r\n\r\n", 400),
        (GET + HOST + b"x: a\x00b\r\n\r\n", 400),
        (GET + HOST + b"x : a\r\n\r\n", 400),
        (GET + HOST + b"x: a\nauthorization: Bearer b\r\n\r\n", 400),
        (HEAD + HOST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + HOST + b"content-length: 5\r\ncontent-length: 6\r\n\r\n", 400),
        (HEAD + HOST + b"content-length: -1\r\n\r\n", 400),
        (HEAD + HOST + b"content-length: \r\n\r\n", 400),
        (HEAD + HOST + b"content-length: 99999999999999999999\r\n\r\n", 400),
        (HEAD + HOST + b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n", 400),
        (HEAD + HOST + b"content-length: +5\r\n\r\n{}", 400),
        (HEAD + HOST + b"content-length: 5, 5\r\n\r\n{}", 400),
        (HEAD + HOST + b"content-length: 0x5\r\n\r\n{}", 400),
        (HEAD + HOST + b"content-length : 5\r\n\r\n{}", 400),
        (HEAD + HOST + b"transfer-encoding: gzip\r\n\r\n", 400),
        (HEAD + HOST + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + HOST + b"transfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + HOST + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + HOST + b"transfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + HOST + b"transfer-encoding: chunked\r\n\r\n-1\r\n", 400),
        (HEAD + HOST + b"transfer-encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n", 400),
        (HEAD + HOST + b"transfer-encoding: chunked\r\n\r\nffffffffffffffff1\r\n", 400),
        (HEAD + HOST + b"transfer-encoding: chunked\r\n\r\n0\r\nhost: b\r\n\r\n", 400),
        (HEAD + HOST + b"transfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (HEAD + HOST + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n", 401),
        (HEAD + HOST + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}", 415),
        (HEAD + HOST + b"content-type: text/plain\r\ncontent-length: 2\r\n\r\n{}", 415),
        (HEAD + HOST + b"content-type: multipart/form-data; boundary=x\r\ncontent-length: 2\r\n\r\n{}", 415),
        (HEAD + HOST + b"content-type: application/x-www-form-urlencoded\r\ncontent-length: 1\r\n\r\na", 415),
        (FORM + HOST + b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}", 415),
        (HEAD + HOST + b"content-length: 2097153\r\n\r\n", 413),
        (HEAD + HOST + b"content-length: 999999999999999999\r\n\r\n", 413),
        (HEAD + HOST + KEY + b"transfer-encoding: chunked\r\n\r\n" + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 33, 413),
        (GET + HOST + b"x: y\r\n" * 101 + b"\r\n", 431),
        (GET + HOST + b"x: " + b"y" * 16_384 + b"\r\n\r\n", 431),
        (b"GET /" + b"y" * 16_385 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 431),
        (GET + HOST + b"x: " + b"y" * 300_000, 431),
    ],
)
async def test_what_cannot_be_trusted_is_refused_and_the_connection_closed(
    wire: Wire, sent: bytes, status: int
) -> None:
    wire.send(sent)
    told, headers, body = await wire.answer()
    assert told == status
    assert set(msgspec.json.decode(body)["error"]) == {"message", "type", "param", "code"}
    assert headers["connection"] == "close"
    assert UUID(headers["x-request-id"])
    assert await wire.rest() == b""


async def test_a_refused_request_is_counted_and_noted_under_the_id_that_its_sender_was_told(
    wire: Wire, tenant: Tenant
) -> None:
    wire.send(b"TRACE /v1/models HTTP/1.1\r\n" + HOST + b"\r\n")
    _, headers, _ = await wire.answer()

    async def noted() -> bool:
        log = tenant.place.gateway.log.read_text()
        return f'"request_id":"{headers["x-request-id"]}","endpoint":"refused","status":405' in log

    await eventually(noted)
    async with httpx.AsyncClient(base_url=tenant.place.probes) as client:
        text = (await client.get("/metrics")).text
    assert 'ias_gateway_requests_total{endpoint="refused",status="405"}' in text


async def test_a_head_may_come_byte_by_byte(wire: Wire, tenant: Tenant) -> None:
    for byte in request(tenant, max_tokens=1, more=b"content-type: application/json; charset=utf-8\r\n"):
        wire.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await wire.answer())[0] == 200


async def test_a_body_may_come_in_chunks(wire: Wire, tenant: Tenant) -> None:
    body = msgspec.json.encode(tenant.body(max_tokens=2))
    key = f"authorization: Bearer {tenant.token}\r\n".encode()
    wire.send(HEAD + HOST + key + b"transfer-encoding: chunked\r\n\r\n")
    for start in range(0, len(body), 7):
        piece = body[start : start + 7]
        wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
    wire.send(b"0\r\n\r\n")
    assert (await wire.answer())[0] == 200


async def test_a_refused_request_leaves_the_connection_open_for_the_next(wire: Wire, tenant: Tenant) -> None:
    wire.send(request(tenant, priority=1))
    assert (await wire.answer())[0] == 400
    wire.send(request(tenant, max_tokens=1))
    assert (await wire.answer())[0] == 200


async def test_a_client_that_waits_for_it_is_told_to_continue(wire: Wire, tenant: Tenant) -> None:
    whole = request(tenant, max_tokens=1, more=b"expect: 100-continue\r\n")
    head, _, body = whole.partition(b"\r\n\r\n")
    wire.send(head + b"\r\n\r\n")
    assert (await wire.answer())[0] == 100
    wire.send(body)
    assert (await wire.answer())[0] == 200


async def test_a_pipelined_request_puts_nothing_into_the_stream_before_it(wire: Wire, tenant: Tenant) -> None:
    wire.send(request(tenant, "[[mock tokens=20 delay_ms=5]]", stream=True, max_tokens=20))
    wire.send(request(tenant, max_tokens=1, more=b"expect: 100-continue\r\n"))
    told = await asyncio.wait_for(wire.reader.readuntil(b"\r\n0\r\n\r\n"), 30)
    assert told.count(b"HTTP/1.1") == 1
    assert b"[DONE]" in told
    assert (await wire.answer())[0] == 200


async def test_nothing_is_served_behind_a_request_that_cannot_be_read(wire: Wire, tenant: Tenant) -> None:
    good = request(tenant, "[[mock first_ms=50]]", max_tokens=1)
    wire.send(good + b"junk\r\n\r\n" + good)
    assert (await wire.answer())[0] == 200
    assert await wire.rest() == b""
    assert len(await tenant.lines()) == 1


async def test_a_client_that_asks_to_close_is_closed(wire: Wire, tenant: Tenant) -> None:
    wire.send(request(tenant, max_tokens=1, more=b"connection: close\r\n"))
    status, headers, _ = await wire.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert await wire.rest() == b""


async def test_an_answer_to_head_has_no_body(wire: Wire, tenant: Tenant) -> None:
    wire.send(b"HEAD /v1/models HTTP/1.1\r\n" + HOST + b"\r\n")
    head = await asyncio.wait_for(wire.reader.readuntil(b"\r\n\r\n"), 30)
    assert b" 405 " in head
    wire.send(request(tenant, max_tokens=1))
    assert (await wire.answer())[0] == 200


async def test_a_client_that_leaves_while_the_engine_is_silent_frees_the_engine_at_once(tenant: Tenant) -> None:
    async def begun() -> bool:
        async with httpx.AsyncClient() as control:
            return bool((await control.get(f"{tenant.place.control}/running")).json())

    for number, streamed in enumerate((True, False), start=1):
        client = await RawClient.ask(tenant, text="[[mock first_ms=60000 tokens=5]]", stream=streamed)
        await eventually(begun)
        client.leave()
        await tenant.lines(number)
    lines = await tenant.lines(2)
    assert {(line["o"], line["ct"]) for line in lines} == {("client_aborted", "0")}

    async def freed() -> bool:
        oracle = await tenant.place.oracle()
        return all(oracle.get(line["r"], {}).get("outcome") == "aborted" for line in lines)

    await eventually(freed)


async def test_a_model_with_a_slash_in_its_name_is_found_escaped_or_not(tenant: Tenant) -> None:
    encoded = await tenant.edge.redis.hget(f"{{o:{tenant.tag}}}:routes", "mock-gpt")
    await tenant.project("routes", {"org/model": re.sub(rb'"name":"[^"]*"', b'"name":"org/model"', encoded)})
    for path in ("org/model", "org%2Fmodel"):
        answer = await tenant.place.client.get(f"/v1/models/{path}", headers=tenant.headers)
        assert (answer.status_code, answer.json().get("id")) == (200, "org/model")


@pytest.mark.parametrize("more", [b"", b"connection: keep-alive\r\n"])
async def test_a_stream_for_http_1_0_is_not_chunked_and_ends_with_its_connection(
    wire: Wire, tenant: Tenant, more: bytes
) -> None:
    text = "[[mock tokens=5 delay_ms=5]]"
    wire.send(request(tenant, text, stream=True, max_tokens=5, more=more).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    head, _, events = (await wire.rest()).partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert events.startswith(b"data: {")
    assert events.endswith(b"data: [DONE]\n\n")
    assert all(event.startswith(b"data: ") for event in events.split(b"\n\n")[:-1])
    assert (await tenant.lines())[0]["ct"] == "5"


async def test_an_answer_for_http_1_0_that_is_no_stream_may_be_followed_by_a_stream(wire: Wire, tenant: Tenant) -> None:
    kept = b"connection: keep-alive\r\n"
    for _ in range(2):
        wire.send(request(tenant, max_tokens=1, more=kept).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
        assert (await wire.answer())[0] == 200
    wire.send(request(tenant, stream=True, max_tokens=1, more=kept).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    seen = await wire.rest()
    assert b"transfer-encoding" not in seen
    assert seen.endswith(b"data: [DONE]\n\n")

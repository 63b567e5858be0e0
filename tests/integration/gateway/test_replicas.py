"""Engines that are no good partners: they close what is idle, end without an end, refuse in their own words."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import msgspec
import psutil
import pytest

from tests.integration.gateway.place import CHAT, Tenant

ANSWER = msgspec.json.encode(
    {"id": "x", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}
)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":2}}\n\n'
DONE = b"data: [DONE]\n\n"

Behave = Callable[[int, int], bytes | None]
"""What is answered to a connection's request, by number of the connection and of the request on it; None closes."""


def whole(status: bytes = b"200 OK", body: bytes = ANSWER) -> bytes:
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


@asynccontextmanager
async def engine(behave: Behave) -> AsyncIterator[str]:
    """An engine that answers by rote; its URL."""
    seen = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen += 1
        connection, number = seen, 0
        while head := await _head(reader):
            length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
            await reader.readexactly(length)
            number += 1
            answer = behave(connection, number)
            writer.write(answer or b"")
            await writer.drain()
            if answer is None or answer.startswith(STREAM_HEAD):
                break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""


async def test_a_connection_that_the_engine_closed_while_idle_costs_no_request(tenant: Tenant) -> None:
    async with engine(lambda _, number: whole() if number == 1 else None) as url:
        await tenant.route((url,))
        for _ in range(4):
            assert (await tenant.chat()).status_code == 200
    lines = await tenant.lines(4)
    assert [(line["o"], line["pt"], line["ct"]) for line in lines] == [("completed", "3", "2")] * 4


async def test_an_engine_that_breaks_on_new_connections_too_is_not_asked_forever(tenant: Tenant) -> None:
    async with engine(lambda connection, number: whole() if (connection, number) == (1, 1) else None) as url:
        await tenant.route((url,))
        assert (await tenant.chat()).status_code == 200
        answer = await tenant.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
    assert [line["o"] for line in await tenant.lines(2)] == ["completed", "upstream_failed"]


async def test_a_stream_that_has_told_its_end_is_whole_however_its_connection_ends(tenant: Tenant) -> None:
    chunk = EVENT + DONE
    stream = STREAM_HEAD + b"transfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n" % (len(chunk), chunk)
    async with engine(lambda *_: stream) as url:
        await tenant.route((url,))
        answer = await tenant.chat(stream=True)
    assert answer.content.endswith(DONE)
    assert b"error" not in answer.content
    (line,) = await tenant.lines()
    assert (line["o"], line["ct"]) == ("completed", "2")


async def test_a_stream_without_an_end_is_told_so(tenant: Tenant) -> None:
    async with engine(lambda *_: STREAM_HEAD + b"content-length: %d\r\n\r\n" % len(EVENT) + EVENT) as url:
        await tenant.route((url,))
        answer = await tenant.chat(stream=True)
    assert b'"upstream_error"' in answer.content
    assert DONE not in answer.content
    assert (await tenant.lines())[0]["o"] == "upstream_failed"


@pytest.mark.parametrize(
    ("status", "body", "told", "code"),
    [
        (b"404 Not Found", b'{"detail":"Not Found"}', 400, None),
        (b"404 Not Found", b'{"error":{"message":"no model","code":404}}', 502, "upstream_error"),
        (b"400 Bad Request", b'{"error":{"message":"bad \xff\xfe","code":400}}', 502, "upstream_error"),
        (b"400 Bad Request", b"<html>", 502, "upstream_error"),
        (b"422 Unprocessable", b'{"detail":[{"loc":["body"]}]}', 400, None),
        (b"413 Too Large", b'{"object":"error","message":"too long for inner","code":413}', 400, None),
        (b"429 Too Many", b"", 503, "server_overloaded"),
        (b"302 Found", b"", 502, "upstream_error"),
    ],
)
async def test_an_engines_refusal_never_passes_as_it_is(
    tenant: Tenant, status: bytes, body: bytes, told: int, code: str | None
) -> None:
    async with engine(lambda *_: whole(status, body)) as url:
        await tenant.route((url,), upstream="inner")
        answer = await tenant.chat()
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (told, code)
    assert set(error) == {"message", "type", "param", "code"}
    assert "inner" not in error["message"]
    (line,) = await tenant.lines()
    assert (line["pt"], line["ct"]) == ("0", "0")


async def test_an_engine_that_speaks_no_http_is_a_502(tenant: Tenant) -> None:
    async with engine(lambda *_: b"nonsense\r\n\r\n") as url:
        await tenant.route((url,))
        assert (await tenant.chat()).status_code == 502


async def test_an_answer_without_usage_is_estimated_and_marked(tenant: Tenant) -> None:
    async with engine(lambda *_: whole(body=b'{"choices":[{"message":{"content":"%b"}}]}' % (b"x" * 400))) as url:
        await tenant.route((url,))
        assert (await tenant.chat()).status_code == 200
    (line,) = await tenant.lines()
    assert line["e"] == "1"
    assert int(line["ct"]) >= 100


async def test_a_slow_reader_gets_every_byte_and_the_gateway_buffers_little(tenant: Tenant) -> None:
    text = b"x" * 1000
    events = EVENT.replace(b'"a"', b'"%b"' % text) * 12_000
    body = events + DONE
    pid = tenant.place.gateway.child.pid
    async with engine(lambda *_: STREAM_HEAD + b"content-length: %d\r\n\r\n" % len(body) + body) as url:
        await tenant.route((url,))
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            slow.setblocking(False)
            address = httpx.URL(tenant.place.url)
            await asyncio.get_running_loop().sock_connect(slow, (address.host, address.port))
            reader, writer = await asyncio.open_connection(sock=slow, limit=8192)
            before = psutil.Process(pid).memory_info().rss
            ask = httpx.Request("POST", address.join(CHAT), json=tenant.body(stream=True), headers=tenant.headers)
            head = "".join(f"{name}: {value}\r\n" for name, value in ask.headers.items())
            writer.write(f"POST {CHAT} HTTP/1.1\r\n{head}\r\n".encode() + ask.content)
            await asyncio.sleep(0.3)
            assert psutil.Process(pid).memory_info().rss - before < 6_000_000
            told = bytearray()
            while not told.endswith(b"0\r\n\r\n"):
                told += await asyncio.wait_for(reader.read(2**20), 30)
            writer.close()
    assert told.count(text) == 12_000
    assert b"[DONE]" in told[-100:]
    assert (await tenant.lines())[0]["o"] == "completed"

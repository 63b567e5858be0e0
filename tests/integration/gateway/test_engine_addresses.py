"""Where the gateway connects to, and where it does not though a route or an engine says so."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.integration.gateway.place import Place, Tenant, eventually, logged, place_of
from tests.integration.gateway.raw_engine import Call, raw_engine
from tests.services import Services


@pytest.fixture(scope="module")
def careful(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway whose deployment allows no address beyond the usual ones."""
    settings = {"IAS_UPSTREAM_ALLOW": "", "IAS_REDIS_TIMEOUT_MS": "10000"}
    with place_of(services, tmp_path_factory.mktemp("careful"), **settings) as place:
        yield place


@asynccontextmanager
async def listener() -> AsyncIterator[tuple[int, list[object]]]:
    """A port of this machine, and the connections that it gets."""
    reached: list[object] = []
    server = await asyncio.start_server(lambda *streams: reached.append(streams), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], reached
    finally:
        server.close()


async def test_a_route_to_this_machine_is_not_followed_whatever_it_is_called(
    careful: Place, tenants: Callable[[Place], Tenant]
) -> None:
    tenant = tenants(careful)
    await tenant.edge.load_library()
    async with listener() as (port, reached):
        hosts = ("127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433", "0x7f.1")
        await tenant.begin(replicas=(f"http://127.0.0.1:{port}",))
        for host in hosts:
            await tenant.route((f"http://{host}:{port}",))
            answer = await tenant.chat()
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "server_overloaded"), host
            assert host not in answer.text
        assert reached == []

    async def told() -> bool:
        lines = [line for line in logged(careful.gateway.folder, "gateway") if "address is refused" in line["event"]]
        return {"127.0.0.1", "localhost"} <= {line["host"] for line in lines} and all(
            "IAS_UPSTREAM_ALLOW" in line["why"] for line in lines
        )

    await eventually(told)
    assert {line["o"] for line in await tenant.lines(len(hosts))} == {"upstream_failed"}


async def test_metadata_services_are_not_asked(careful: Place, tenants: Callable[[Place], Tenant]) -> None:
    tenant = tenants(careful)
    await tenant.edge.load_library()
    await tenant.begin(replicas=("http://169.254.169.254",))
    for host in ("169.254.169.254", "100.100.100.200", "[fd00:ec2::254]", "[fe80::1]"):
        await tenant.route((f"http://{host}",))
        answer = await tenant.chat()
        assert answer.status_code == 503

    async def told() -> bool:
        lines = [line for line in logged(careful.gateway.folder, "gateway") if "address is refused" in line["event"]]
        return {"169.254.169.254", "100.100.100.200", "fd00:ec2::254", "fe80::1"} <= {line["host"] for line in lines}

    await eventually(told)


@pytest.mark.parametrize("status", [b"301 Moved Permanently", b"302 Found", b"307 Temporary Redirect", b"308 Gone"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_redirect_of_an_engine_is_not_followed(tenant: Tenant, status: bytes, stream: bool) -> None:
    async with listener() as (port, reached):

        async def redirect(call: Call) -> None:
            where = b"location: http://127.0.0.1:%d/v1/chat/completions\r\n" % port
            await call.send(b"HTTP/1.1 " + status + b"\r\n" + where + b"content-length: 0\r\n\r\n")

        async with raw_engine(redirect) as engine:
            await tenant.route((engine.url,))
            answer = await tenant.chat(stream=stream)
        assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_error")
        assert "location" not in answer.headers
        assert reached == []
    assert [line["o"] for line in await tenant.lines()] == ["upstream_failed"]


async def test_a_second_answer_behind_the_first_is_nobodys(tenant: Tenant) -> None:
    usage = b'{"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
    one = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(usage), usage)

    async def twice(call: Call) -> None:
        await call.send(one + one.replace(b'"usage"', b'"evil_"'))

    async with raw_engine(twice) as engine:
        await tenant.route((engine.url,))
        for _ in range(3):
            answer = await tenant.chat()
            assert "evil_" not in answer.text

"""Names of engines are looked up once, checked, and connected to as they were found."""

import asyncio
import socket
from typing import Any

import pytest

from ias.contract.addresses import networks
from ias_gateway.addresses import Addresses, AddressRefused
from ias_gateway.log import Log
from ias_gateway.upstream import Connection, Pool

LOOPBACK = Addresses(networks("127.0.0.0/8, ::1"))


class Names:
    """A resolver that answers something else every time."""

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, _host: str, port: int, **_: object) -> list[Any]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]


@pytest.fixture
def resolve(monkeypatch: pytest.MonkeyPatch) -> Any:
    def answers(*given: tuple[str, ...]) -> Names:
        names = Names(*given)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", names, raising=False)
        return names

    return answers


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::1", "169.254.169.254", "100.100.100.200", "0.0.0.0", "::ffff:169.254.1.1"]
)
async def test_an_address_where_no_engine_may_be_is_refused_and_says_what_to_do(host: str) -> None:
    with pytest.raises(AddressRefused, match="list its network in IAS_UPSTREAM_ALLOW"):
        await Addresses(()).lookup(host, 80)


async def test_a_name_is_judged_by_where_it_leads(resolve: Any) -> None:
    resolve(("169.254.169.254",))
    with pytest.raises(AddressRefused, match=r"engine\.example leads to a link-local address"):
        await Addresses(()).lookup("engine.example", 80)


async def test_of_several_addresses_those_are_used_that_may_be(resolve: Any) -> None:
    resolve(("127.0.0.1", "10.0.0.7", "fe80::1", "10.0.0.8", "10.0.0.7"))
    assert await Addresses(()).lookup("engine.example", 80) == ["10.0.0.7", "10.0.0.8"]


async def test_a_name_that_changes_after_the_check_gains_nothing(resolve: Any) -> None:
    reached: list[str] = []
    server = await asyncio.start_server(
        lambda _, writer: reached.append(writer.get_extra_info("sockname")[0]), "127.0.0.1", 0
    )
    port = server.sockets[0].getsockname()[1]
    names = resolve(("127.0.0.1",), ("127.0.0.2",))
    pool = Pool(f"http://rebinding.example:{port}", LOOPBACK)
    connection = await pool.open()
    assert isinstance(connection, Connection)
    connection.abandon()
    server.close()
    assert names.asked == 1
    assert pool.opened == 1


async def test_no_connection_is_opened_to_a_refused_address() -> None:
    reached: list[object] = []
    server = await asyncio.start_server(lambda *streams: reached.append(streams), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(AddressRefused):
        await Pool(f"http://127.0.0.1:{port}").open()
    with pytest.raises(AddressRefused):
        await Pool(f"http://localhost:{port}").open()
    server.close()
    await server.wait_closed()
    assert reached == []


async def test_the_next_address_is_tried_where_one_takes_no_connection(resolve: Any) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    resolve(("127.0.0.2", "127.0.0.1"))
    connection = await Pool(f"http://engine.example:{port}", LOOPBACK).open()
    connection.abandon()
    server.close()


async def test_a_pool_fails_as_the_last_address_did(resolve: Any) -> None:
    resolve(("127.0.0.1",))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionRefusedError):
            await Pool(f"http://engine.example:{taken.getsockname()[1]}", LOOPBACK).open()


async def test_a_refusal_is_logged_once_a_minute(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    addresses = Addresses((), Log("gateway", "info"))
    for _ in range(3):
        with pytest.raises(AddressRefused):
            await addresses.lookup("127.0.0.1", 80)
    assert capfdbinary.readouterr().out.count(b"an engine's address is refused") == 1

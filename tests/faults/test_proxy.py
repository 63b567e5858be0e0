"""The fault proxy does what it is told, and nothing else."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.faults.harms import Cut, Way
from tests.faults.proxy import Proxies, Proxy, proxies
from tests.services import free_port

WAIT_S = 20.0


@pytest.fixture(scope="module")
def some() -> Iterator[Proxies]:
    with proxies() as them:
        yield them


class Echo:
    """A server that answers what it hears, and remembers it."""

    def __init__(self) -> None:
        self.port = free_port()
        self.heard = b""
        self.ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    def _echo(self, connection: socket.socket) -> None:
        try:
            while data := connection.recv(4096):
                self.heard += data
                connection.sendall(data)
        except OSError:
            pass
        self.ended.set()
        connection.close()

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@pytest.fixture
def proxy(some: Proxies, echo: Echo) -> Proxy:
    return some.before(f"redis://127.0.0.1:{echo.port}/0")


def client(proxy: Proxy) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", proxy.port), timeout=WAIT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read(connection: socket.socket, most: int) -> bytes:
    got = b""
    while len(got) < most and (data := connection.recv(4096)):
        got += data
    return got


def turned_away(port: int) -> bool:
    """Whether a connection breaks by itself, before or after it can be used."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=WAIT_S) as connection:
            connection.recv(1)
    except ConnectionResetError:
        return True
    return False


def test_it_passes_on_what_it_is_given(proxy: Proxy) -> None:
    with client(proxy) as connection:
        connection.sendall(b"x" * 300_000)
        assert read(connection, 300_000) == b"x" * 300_000
    assert proxy.url == f"redis://127.0.0.1:{proxy.port}/0"


def test_latency_comes_on_each_way(proxy: Proxy) -> None:
    with client(proxy) as connection, proxy.doing(latency_s=0.1):
        began = time.monotonic()
        connection.sendall(b"hello")
        assert read(connection, 5) == b"hello"
        assert time.monotonic() - began >= 0.2


def test_a_blackhole_keeps_what_was_sent_until_it_is_gone(proxy: Proxy, echo: Echo) -> None:
    with client(proxy) as connection:
        with proxy.doing(blackhole=True):
            connection.sendall(b"hello")
            connection.settimeout(0.3)
            with pytest.raises(TimeoutError):
                connection.recv(1)
            assert not echo.heard
        connection.settimeout(WAIT_S)
        assert read(connection, 5) == b"hello"


def test_a_reset_reaches_both_sides(proxy: Proxy, echo: Echo) -> None:
    with client(proxy) as connection:
        connection.sendall(b"a")
        assert read(connection, 1) == b"a"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        assert echo.ended.wait(WAIT_S)


def test_who_comes_while_it_refuses_is_turned_away(proxy: Proxy, echo: Echo) -> None:
    with proxy.doing(refuse=True):
        assert turned_away(proxy.port)
    with client(proxy) as connection:
        connection.sendall(b"a")
        assert read(connection, 1) == b"a"


def test_a_half_closed_connection_still_carries_what_the_client_says(proxy: Proxy, echo: Echo) -> None:
    with client(proxy) as connection:
        connection.sendall(b"a")
        assert read(connection, 1) == b"a"
        proxy.half_close()
        assert connection.recv(1) == b""
        connection.sendall(b"bcd")
        until = time.monotonic() + WAIT_S
        while echo.heard != b"abcd":
            assert time.monotonic() < until
            time.sleep(0.01)


@pytest.mark.parametrize("how", ["truncate", "reset_after"])
def test_an_answer_ends_after_so_many_bytes(proxy: Proxy, how: str) -> None:
    with client(proxy) as connection, proxy.doing(**{how: 7}):
        connection.sendall(b"0123456789")
        got = b""
        broken = False
        try:
            while data := connection.recv(4096):
                got += data
        except ConnectionResetError:
            broken = True
        assert b"0123456".startswith(got)
        assert broken is (how == "reset_after")
        assert broken or got == b"0123456"


def test_slices_of_one_byte_are_the_same_bytes(proxy: Proxy) -> None:
    with client(proxy) as connection, proxy.doing(slices=True):
        connection.sendall(b"0123456789")
        assert read(connection, 10) == b"0123456789"


@pytest.mark.parametrize("pieces", [(b"BEGIN; COMMIT;",), (b"BEGIN; COM", b"MIT;")])
def test_a_connection_is_cut_before_the_bytes_that_are_looked_for(proxy: Proxy, echo: Echo, pieces: tuple) -> None:
    cut = Cut(b"COMMIT;")
    with client(proxy) as connection, proxy.doing(cut=cut):
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(0.05)
        echoed = len(b"".join(pieces[:-1]))
        assert read(connection, echoed) == b"".join(pieces)[:echoed]
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        assert echo.ended.wait(WAIT_S)
    assert b"COMMIT;" not in echo.heard
    assert cut.done == 1


def test_an_answer_is_lost_though_the_question_arrives(proxy: Proxy, echo: Echo) -> None:
    cut = Cut(b"settle", answer_lost=True)
    with client(proxy) as connection, proxy.doing(cut=cut):
        connection.sendall(b"settle")
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    assert echo.ended.wait(WAIT_S)
    assert echo.heard == b"settle"


def test_it_cuts_no_more_often_than_it_was_told(proxy: Proxy) -> None:
    cut = Cut(b"x", way=Way.DOWN, times=1)
    with proxy.doing(cut=cut):
        with client(proxy) as connection:
            connection.sendall(b"x")
            with pytest.raises(ConnectionResetError):
                connection.recv(1)
        with client(proxy) as connection:
            connection.sendall(b"x")
            assert read(connection, 1) == b"x"


def test_a_server_that_is_not_there_is_a_reset(some: Proxies) -> None:
    proxy = some.before(f"http://127.0.0.1:{free_port()}")
    assert turned_away(proxy.port)

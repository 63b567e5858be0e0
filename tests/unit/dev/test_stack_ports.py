"""Which port each process of the embedded stack gets."""

import socket
from collections.abc import Iterator

import pytest

from ias.dev import ports, settings
from ias.dev.fault import Fault


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


@pytest.fixture(autouse=True)
def _usual_ports_of_this_test(monkeypatch: pytest.MonkeyPatch, taken: int) -> None:
    monkeypatch.setattr(ports, "USUAL", {"gateway": taken, "api": free_port()})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_usual_port_is_taken_where_it_is_free() -> None:
    assert ports.choose({}, {}, frozenset()).ports["api"] == ports.USUAL["api"]


def test_a_taken_usual_port_gives_way_to_a_free_one_and_is_mentioned(taken: int) -> None:
    choice = ports.choose({}, {}, frozenset())
    assert choice.ports["gateway"] != taken
    assert ports.is_free(choice.ports["gateway"])
    assert choice.remarks == (f"Port {taken} is taken; gateway listens on {choice.ports['gateway']} instead.",)


def test_a_port_listened_to_on_every_address_counts_as_taken() -> None:
    with socket.socket() as server:
        server.bind(("0.0.0.0", 0))
        server.listen()
        assert not ports.is_free(server.getsockname()[1])


def test_a_port_that_was_asked_for_is_used_without_a_remark() -> None:
    port = free_port()
    choice = ports.choose({"gateway": port}, {}, frozenset())
    assert choice.ports["gateway"] == port
    assert choice.remarks == ()


def test_a_taken_port_that_was_asked_for_is_refused_with_the_mend(taken: int) -> None:
    with pytest.raises(Fault, match=rf"port {taken} is in use: .* IAS_API_PORT"):
        ports.choose({"api": taken}, {}, frozenset())


def test_a_private_port_stays_the_same_while_it_is_free() -> None:
    port = free_port()
    assert ports.choose({}, {"postgres": port}, frozenset()).ports["postgres"] == port


def test_a_private_port_that_somebody_took_meanwhile_is_changed(taken: int) -> None:
    assert ports.choose({}, {"postgres": taken}, frozenset()).ports["postgres"] != taken


def test_a_running_process_keeps_its_port_even_where_another_was_asked_for(taken: int) -> None:
    choice = ports.choose({"gateway": free_port()}, {"gateway": taken}, frozenset({"gateway"}))
    assert choice.ports["gateway"] == taken
    assert choice.remarks == ()


def test_no_two_processes_get_the_same_port() -> None:
    chosen = ports.choose({}, {"postgres": ports.USUAL["api"], "valkey": ports.USUAL["api"]}, frozenset()).ports
    assert len(set(chosen.values())) == len(chosen)


def test_a_port_is_asked_for_by_a_variable_of_its_processs_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IAS_GATEWAY_METRICS_PORT", "9123")
    monkeypatch.delenv("IAS_API_PORT", raising=False)
    asked = settings.asked_ports()
    assert asked["gateway_metrics"] == 9123
    assert "api" not in asked


@pytest.mark.parametrize("value", ["0", "65536", "http", ""])
def test_a_variable_that_is_no_port_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("IAS_API_PORT", value)
    with pytest.raises(Fault, match="IAS_API_PORT must be a port"):
        settings.asked_ports()


def test_processes_inherit_nothing_that_the_stack_sets_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IAS_AMQP_URL", "amqp://somewhere")
    monkeypatch.setenv("TZ", "UTC")
    assert "IAS_AMQP_URL" not in settings.inherited()
    assert settings.inherited()["TZ"] == "UTC"

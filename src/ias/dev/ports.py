"""Which port each process gets: the one asked for, the usual one, or a free one where that is taken."""

import socket
from collections.abc import Mapping

import msgspec

from ias.dev.fault import Fault

USUAL = {
    "gateway": 8080,
    "gateway_metrics": 9080,
    "api": 8081,
    "worker": 8082,
    "engine": 8000,
}
"""Ports that people know by heart."""

PRIVATE = ("engine_control", "postgres", "valkey", "vllm")
"""Always a free port, the same one again where it is still free."""

HOST = "127.0.0.1"


class Choice(msgspec.Struct, frozen=True):
    """The chosen ports, and a sentence for each usual one that was taken."""

    ports: dict[str, int]
    remarks: tuple[str, ...] = ()


def choose(asked: Mapping[str, int], known: Mapping[str, int], busy: frozenset[str]) -> Choice:
    """Ports for every process; those in `busy` run already and keep the port they have.

    Raises:
        Fault: a port that was asked for is taken.
    """
    ports: dict[str, int] = {name: known[name] for name in busy if name in known}
    remarks: list[str] = []
    for name in (*USUAL, *PRIVATE):
        if name in ports:
            continue
        wish = asked.get(name)
        ports[name] = _asked(name, wish) if wish else _usual_or_known(name, known, set(ports.values()))
        if not wish and name in USUAL and ports[name] != USUAL[name]:
            remarks.append(f"Port {USUAL[name]} is taken; {name.replace('_', ' ')} listens on {ports[name]} instead.")
    return Choice(ports, tuple(remarks))


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as caller:  # elsewhere than Linux a wildcard hides
        caller.settimeout(0.2)
        return caller.connect_ex((HOST, port)) != 0


def _asked(name: str, port: int) -> int:
    if not is_free(port):
        raise Fault(f"port {port} is in use: end what listens there, or set IAS_{name.upper()}_PORT to a free one.")
    return port


def _usual_or_known(name: str, known: Mapping[str, int], taken: set[int]) -> int:
    for port in (USUAL.get(name), known.get(name)):
        if port is not None and port not in taken and is_free(port):
            return port
    return _any(taken)


def _any(taken: set[int]) -> int:
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        if port not in taken:
            return port

"""RabbitMQ of our own, with its management plugin: a virtual host by rabbitmqctl takes a second, by it 8 ms."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import httpx

from tests.services.place import Place
from tests.services.ports import kept_port
from tests.services.private import PrivateService
from tests.services.process import Process

USER = "rabbitmq"
HEADER = b"AMQP\x00\x00\x09\x01"


def rabbitmq(place: Place, home: Path, port: int, settings: Mapping[str, str]) -> PrivateService:
    """Describe the RabbitMQ of a folder; `settings` are lines of rabbitmq.conf. Nothing is started."""
    if place.rabbitmq_bin is None or place.epmd is None:
        raise KeyError(f"The place {place.name} has no RabbitMQ.")
    ports = further_ports(home)
    env = _environment(place.inside(home), port, ports)
    epmd = Process("epmd", home, place.command(home, USER, place.epmd, **env))
    broker = place.command(home, USER, place.rabbitmq_bin / "rabbitmq-server", **env)

    def prepare() -> None:
        place.hand_over(home, USER)
        _configure(home, port, ports["management"], settings)
        if not epmd.running:
            epmd.start()
            epmd.wait_until(lambda: _connects(ports["epmd"]))

    url = f"amqp://guest:guest@127.0.0.1:{port}/"
    return PrivateService(
        url=url,
        process=Process("rabbitmq", home, broker),
        data=home / "data",
        prepare=prepare,
        ready=lambda: answers(url, management_url(home)),
    )


def management_url(home: Path) -> str:
    """Where the management plugin of the broker in `home` listens."""
    return f"http://127.0.0.1:{further_ports(home)['management']}"


@contextmanager
def virtual_host(amqp_url: str, management: str) -> Iterator[str]:
    """Make an empty virtual host, give its AMQP URL, and delete it with all that is in it."""
    broker = urlsplit(amqp_url)
    name = f"t{uuid4().hex}"
    login = (broker.username or "guest", broker.password or "guest")
    with httpx.Client(base_url=management, auth=login, timeout=30) as client:
        client.put(f"/api/vhosts/{name}").raise_for_status()
        try:
            yield broker._replace(path=f"/{name}").geturl()
        finally:
            with suppress(httpx.HTTPError):  # the test may have killed the broker
                client.delete(f"/api/vhosts/{name}")


def further_ports(home: Path) -> dict[str, int]:
    """The broker's further ports, chosen once for its folder."""
    return {name: kept_port(home / name) for name in ("management", "epmd", "distribution")}


def _environment(inside: Path, port: int, ports: Mapping[str, int]) -> dict[str, str]:
    return {
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(ports["epmd"]),
        "RABBITMQ_CONFIG_FILE": str(inside / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_DIST_PORT": str(ports["distribution"]),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(inside / "plugins"),
        "RABBITMQ_LOG_BASE": str(inside / "log"),
        "RABBITMQ_MNESIA_BASE": str(inside / "data"),
        "RABBITMQ_NODENAME": "rig@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RUNNING_UNDER_SYSTEMD": "true",  # the start script then becomes the broker: its pid is the broker's
    }


def _configure(home: Path, port: int, management: int, settings: Mapping[str, str]) -> None:
    lines = {
        "listeners.tcp.1": f"127.0.0.1:{port}",
        "management.tcp.ip": "127.0.0.1",
        "management.tcp.port": str(management),
        "vm_memory_high_watermark.absolute": "1GB",
        "disk_free_limit.absolute": "50MB",
        "log.console": "true",
        "log.file": "false",
    } | dict(settings)
    (home / "rabbitmq.conf").write_text("".join(f"{name} = {value}\n" for name, value in lines.items()))
    (home / "plugins").write_text("[rabbitmq_management].\n")


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def answers(amqp_url: str, management: str) -> bool:
    """Whether the broker takes both AMQP and management's HTTP."""
    broker = urlsplit(amqp_url)
    try:
        with socket.create_connection((broker.hostname, broker.port), timeout=1) as connection:
            connection.sendall(HEADER)
            if not connection.recv(1):
                return False
        hosts = httpx.get(f"{management}/api/vhosts", auth=("guest", "guest"), timeout=5)
    except (OSError, httpx.HTTPError):
        return False
    return hosts.status_code == httpx.codes.OK

"""PostgreSQL with TimescaleDB, Redis and RabbitMQ as containers, tuned like the programs of our own."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from testcontainers.core.container import DockerContainer

from tests.services import postgres, rabbitmq, redis
from tests.services.engine import ContainerService, engine_host

IMAGES = {
    "postgres": "timescale/timescaledb:2.19.3-pg17",
    "redis": "redis:8.0",
    "rabbitmq": "rabbitmq:4.0-management",
}
CONF = "/etc/rabbitmq/conf.d/90-rig.conf"


def postgres_container(home: Path, port: int, settings: Mapping[str, str]) -> ContainerService:
    """Describe PostgreSQL with TimescaleDB's community features. Nothing is started."""
    url = f"postgresql://postgres:postgres@{engine_host()}:{port}/postgres"
    reachable = {"listen_addresses": "*", "unix_socket_directories": "/var/run/postgresql"}
    tuned = postgres.TUNING | postgres.TIMESCALE | dict(settings) | reachable

    def describe() -> DockerContainer:
        flags = [word for name, value in tuned.items() for word in ("-c", f"{name}={value}")]
        container = DockerContainer(IMAGES["postgres"]).with_bind_ports(5432, port).with_command(flags)
        return container.with_envs(POSTGRES_PASSWORD="postgres", NO_TS_TUNE="true")

    return ContainerService(url, home, describe, ready=lambda: postgres.answers(url))


def redis_container(home: Path, port: int, settings: Mapping[str, str]) -> ContainerService:
    """Describe Redis. Nothing is started."""
    if redis.CLOCK in settings:
        pytest.skip("no libfaketime in the image, which gives Redis a clock of its own")
    url = f"redis://{engine_host()}:{port}/0"
    options = redis.SETTINGS | dict(settings) | {"bind": "0.0.0.0", "protected-mode": "no"}

    def describe() -> DockerContainer:
        flags = [word for name, value in options.items() for word in (f"--{name}", value)]
        container = DockerContainer(IMAGES["redis"]).with_bind_ports(6379, port)
        return container.with_command(["redis-server", *flags])

    return ContainerService(url, home, describe, ready=lambda: redis.answers(url))


def rabbitmq_container(home: Path, port: int, settings: Mapping[str, str]) -> ContainerService:
    """Describe RabbitMQ with its management plugin. Nothing is started."""
    url = f"amqp://guest:guest@{engine_host()}:{port}/"
    management = management_url(home)

    def describe() -> DockerContainer:
        container = DockerContainer(IMAGES["rabbitmq"]).with_bind_ports(5672, port)
        container.with_bind_ports(15672, rabbitmq.further_ports(home)["management"])
        if settings:
            conf = home / "rig.conf"
            conf.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
            container.with_volume_mapping(conf, CONF)
        # Its data folder bears the host's name: a fixed one lets it find its data again.
        return container.with_kwargs(hostname="rig")

    return ContainerService(url, home, describe, ready=lambda: rabbitmq.answers(url, management))


def management_url(home: Path) -> str:
    """Where the management plugin of the broker in `home` is published."""
    return f"http://{engine_host()}:{rabbitmq.further_ports(home)['management']}"

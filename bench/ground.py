"""What a measurement of accounting stands on: durable services of its own, a migrated database, organisations."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import UUID

import asyncpg
import psutil

from ias.contract import keys
from ias.db import uuid7
from tests.services import Service, Services, attend, free_port, new_folder
from tests.services.ending import end
from tests.services.locks import hold
from tests.services.private import PrivateService
from tests.services.process import Command, Process
from tests.services.worlds import choose

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
SECRET = "a secret for measurements that is long enough to be taken"
DURABLE = {"fsync": "on", "synchronous_commit": "on", "shared_buffers": "512MB", "max_wal_size": "4GB"}


@dataclass(frozen=True)
class Organisation:
    """A tenant, its members and their keys."""

    id: UUID
    tag: str
    holders: tuple[tuple[UUID, UUID], ...]
    """Member and key."""


@dataclass
class Ground:
    """The services of one measurement."""

    folder: Path
    world: str
    postgres: Service
    redis: Service
    rabbitmq: Service | None
    organisations: list[Organisation] = field(default_factory=list)
    models: list[tuple[UUID, str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What a process of the product is told; its port is its own."""
        return {
            "PATH": f"{BIN}:/usr/bin:/bin",
            "IAS_DATABASE_URL": self.postgres.url,
            "IAS_REDIS_URL": self.redis.url,
            "IAS_AMQP_URL": self.rabbitmq.url if self.rabbitmq is not None else "",
            "IAS_JWT_SECRET": SECRET,
            "IAS_WORKER_PORT": str(free_port()),
        }

    def start(self, name: str, argv: tuple[str, ...], env: Mapping[str, str] | None = None) -> Process:
        """Start a process of the product; it ends with the measurement at the latest."""
        home = self.folder / f"{name}-{uuid7().hex}"
        home.mkdir()
        process = Process(name, home, Command(argv, {**self.environment, **(env or {})}, start_in=ROOT))
        process.start()
        return process


@contextmanager
def open_ground(*, queue: bool) -> Iterator[Ground]:
    """Fresh services, of the best world that this machine can have, with every migration applied."""
    folder = new_folder()
    with hold(folder / "owner"), ExitStack() as stack:
        attend(folder)
        stack.callback(end, folder)
        services = Services(folder, partial(choose, folder, print))
        if queue and "rabbitmq" in services.world.missing:
            raise RuntimeError(f"there is nothing to measure without RabbitMQ: {services.world.missing['rabbitmq']}")
        ground = Ground(
            folder,
            services.world.name,
            stack.enter_context(services.fresh("postgres", DURABLE)),
            stack.enter_context(services.fresh("redis")),
            stack.enter_context(services.fresh("rabbitmq")) if queue else None,
        )
        done = subprocess.run(
            [str(BIN / "ias"), "migrate", "up"], env=ground.environment, capture_output=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        yield ground


def found(ground: Ground, organisations: int, members: int) -> None:
    """Make organisations with members, and four priced models."""
    asyncio.run(_found(ground, organisations, members))


async def _found(ground: Ground, organisations: int, members: int) -> None:
    connection = await asyncpg.connect(ground.postgres.url)
    try:
        for number in range(4):
            ground.models.append((uuid7(), f"model-{number}"))
        await connection.executemany(
            """INSERT INTO billing.models (id, name, upstream_name, context_length, max_output_tokens)
            VALUES ($1, $2, $2, 8192, 1024)""",
            ground.models,
        )
        await connection.executemany(
            "INSERT INTO billing.model_backends (model_id, url) VALUES ($1, 'http://engine:8000')",
            [(model_id,) for model_id, _ in ground.models],
        )
        await connection.executemany(
            """INSERT INTO billing.rates (model_id, valid_from, input, output, cached_input)
            VALUES ($1, '2025-01-01', 0.5, 1.5, 0.1)""",
            [(model_id,) for model_id, _ in ground.models],
        )
        for _ in range(organisations):
            holders = tuple((uuid7(), uuid7()) for _ in range(members))
            ground.organisations.append(Organisation(uuid7(), keys.new_tag(), holders))
        await connection.copy_records_to_table(
            "organizations",
            schema_name="identity",
            columns=("id", "name", "name_folded", "tag"),
            records=[(org.id, f"org-{org.tag}", f"org-{org.tag}", org.tag) for org in ground.organisations],
        )
        await connection.copy_records_to_table(
            "users",
            schema_name="identity",
            columns=("id", "org_id", "email", "email_folded", "name", "password_hash", "role"),
            records=[
                (user, org.id, f"{user.hex}@example.org", f"{user.hex}@example.org", "Ada", "", "org-user")
                for org in ground.organisations
                for user, _ in org.holders
            ],
        )
    finally:
        await connection.close()


def cpu_s(*services: Service | Process) -> float:
    """Seconds of CPU that these programs and their children, gone ones too, have used."""
    total = 0.0
    for each in services:
        processes = [process.cpu_times() for process in _tree(each)]
        total += sum(times.user + times.system for times in processes)
        total += sum(times.children_user + times.children_system for times in processes[:1])
    return total


def rss_mb(process: Process) -> float:
    """Resident memory of a program and its children, MiB."""
    return sum(each.memory_info().rss for each in _tree(process)) / 2**20


def _tree(each: Service | Process) -> list[psutil.Process]:
    """All of a program; nothing where a container engine runs it."""
    if not isinstance(each, Process | PrivateService):
        return []
    process = each if isinstance(each, Process) else each.process
    root = psutil.Process(int(process.record.read_text().split()[0]))
    return [root, *root.children(recursive=True)]


def today() -> str:
    """This month, as the ledger writes it."""
    return f"{datetime.now(UTC):%Y%m}"

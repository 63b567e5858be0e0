"""The same tests in every world that this machine can have: what they ran on, and how they went."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import asyncpg
import httpx
import msgspec
import redis

from tests.services.ending import end
from tests.services.locks import hold
from tests.services.run import ROOT, Say, attend, join, new_folder
from tests.services.stack import Services
from tests.services.threads import finish
from tests.services.worlds import NAMES, why_not

TESTS = tuple(f"tests/integration/{name}" for name in ("contract", "billing", "analytics", "worker"))
"""What hangs on a version: the Function library, the ledger, usage, and the queue."""


class Row(msgspec.Struct, kw_only=True):
    """One world: the versions of its services, and how many tests went how; `absent` says why it cannot be had."""

    world: str
    absent: str = ""
    postgres: str = ""
    redis: str = ""
    rabbitmq: str = ""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0


def run_everywhere(names: Sequence[str], arguments: Sequence[str], say: Say) -> list[Row]:
    """Run pytest with these arguments, or the tests that hang on a version, in each of these worlds."""
    return [_row(name, arguments or TESTS, say) for name in names or NAMES]


def table(rows: Sequence[Row]) -> str:
    """The rows for people."""
    lines = [f"{'world':12}{'PostgreSQL':30}{'Redis':16}{'RabbitMQ':10}{'passed':>8}{'failed':>8}{'skipped':>9}"]
    for row in rows:
        said = f"{row.postgres:30}{row.redis:16}{row.rabbitmq or '-':10}{row.passed:8}{row.failed:8}{row.skipped:9}"
        lines.append(f"{row.world:12}{row.absent or said}")
    return "\n".join(lines)


def _row(name: str, arguments: Sequence[str], say: Say) -> Row:
    reason = why_not(name)
    if reason is not None:
        return Row(world=name, absent=reason)
    postgres, memory, queue = _versions(name, say)
    say(f"the world {name}: PostgreSQL {postgres}, {memory}, RabbitMQ {queue or 'none'}")
    began = time.monotonic()
    passed, failed, skipped = _tested(name, arguments)
    seconds = round(time.monotonic() - began, 1)
    told = {"postgres": postgres, "redis": memory, "rabbitmq": queue}
    return Row(world=name, **told, passed=passed, failed=failed, skipped=skipped, seconds=seconds)


def _versions(name: str, say: Say) -> tuple[str, str, str]:
    folder = new_folder()
    with hold(folder / "owner"):
        attend(folder)
        try:
            services = join(folder, say, name)
            return finish(_postgres(services.database_url)), _redis(services.redis_url), _rabbitmq(services)
        finally:
            end(folder)


async def _postgres(url: str) -> str:
    connection = await asyncpg.connect(url)
    try:
        version = str(await connection.fetchval("SHOW server_version")).partition(" ")[0]
        there = "SELECT default_version FROM pg_available_extensions WHERE name = 'timescaledb'"
        timescale = await connection.fetchval(there)
    finally:
        await connection.close()
    return f"{version}, TimescaleDB {timescale}" if timescale else f"{version}, plain"


def _redis(url: str) -> str:
    with redis.Redis.from_url(url) as client:
        about = client.info("server")
    return f"Valkey {about['valkey_version']}" if "valkey_version" in about else f"Redis {about['redis_version']}"


def _rabbitmq(services: Services) -> str:
    if services.amqp_url is None:
        return ""
    about = httpx.get(f"{services.management_url}/api/overview", auth=("guest", "guest"), timeout=30).json()
    return str(about["rabbitmq_version"])


def _tested(name: str, arguments: Sequence[str]) -> tuple[int, int, int]:
    """How many passed, failed and were skipped; what is run in the embedded world anyhow is left to that one."""
    only = () if name == "embedded" else ("-k", "not embedded")
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        argv = (sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *only, *arguments)
        subprocess.run(argv, cwd=ROOT, env={**os.environ, "IAS_TEST_WORLD": name}, check=False)
        suite = ET.parse(report).getroot().find("testsuite") if report.exists() else None
    if suite is None:
        return 0, 1, 0
    tests, failures, errors, skipped = (int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped"))
    return tests - failures - errors - skipped, failures + errors, skipped

"""Every process is killed while requests run; afterwards the ledger and the engine's log agree."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

import pytest

from tests.faults.checker import Books, check
from tests.faults.load import running
from tests.product import Product, product
from tests.product.people import new_org, register_mock, system_admin
from tests.services import Service, Services

QUIET_WITHIN_S = 60.0
ENOUGH = 100
"""Answers before and after a kill."""
LEASE_S = 3
UNARY_OR_CHECKPOINT = 40 + 100
"""Most tokens of one request here: a killed gateway's unary request was not heard of before its end."""


@dataclass
class Rig:
    """A product on services of its own."""

    product: Product
    parts: dict[str, Service]
    token: str
    unheard: set[str] = field(default_factory=set)
    """Requests that an engine was killed over."""

    async def settled(self) -> Books:
        """The books once they are quiet and right, or as they are when it is too late for that."""
        until = time.monotonic() + QUIET_WITHIN_S
        while True:
            books = await check(self.parts["postgres"].url, self.parts["redis"].url, self.product.oracle)
            if books.right or time.monotonic() > until:
                return books
            await asyncio.sleep(0.5)


@pytest.fixture(scope="module")
def rig(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder: Path = tmp_path_factory.mktemp("kill-nine")
    with ExitStack() as stack:
        parts = {
            "postgres": stack.enter_context(services.fresh("postgres", {"fsync": "on"})),
            "redis": stack.enter_context(services.fresh("redis")),
        }
        amqp = None
        if services.amqp_url is not None:
            parts["rabbitmq"] = stack.enter_context(services.fresh("rabbitmq"))
            amqp = parts["rabbitmq"].url
        settings = {"IAS_LEASE": str(LEASE_S), "IAS_RELAY_TAKEOVER_S": "3", "IAS_RELAY_AGAIN_S": "5"}
        whole = stack.enter_context(product(folder, parts["postgres"].url, parts["redis"].url, amqp, settings))
        admin = system_admin(whole)
        register_mock(admin)
        org = new_org(admin)
        admin.api.patch(f"/organizations/{org.id}/budget", json={"monthly_tokens": None}).raise_for_status()
        yield Rig(whole, parts, org.user.issue_key()["token"])


def _verbs(rig: Rig, victim: str) -> tuple[Callable[[], None], Callable[[], None]]:
    if victim in rig.parts:
        return rig.parts[victim].kill, rig.parts[victim].start
    process = rig.product.processes[victim]
    return process.kill, lambda: (process.start(), process.wait_ready())[0]


@pytest.mark.parametrize("victim", ["worker", "api", "gateway", "engine", "postgres", "rabbitmq", "redis"])
async def test_the_books_are_right_after_kill_nine_of(rig: Rig, victim: str) -> None:
    if victim == "rabbitmq" and victim not in rig.parts:
        pytest.skip("there is no RabbitMQ in this world")
    kill, start = _verbs(rig, victim)
    async with running(rig.product, rig.token, seed=crc32(victim.encode()) % 1000) as load:
        await load.reaches(ENOUGH)
        before = load.succeeded
        await asyncio.to_thread(kill)
        await asyncio.sleep(0.5)
        await asyncio.to_thread(start)
        await load.reaches(before + ENOUGH)
    books = await rig.settled()
    assert load.succeeded > before > 0, (load.answers, load.broken)
    assert books.right, books
    assert victim == "engine" or not set(books.unheard) - rig.unheard, books.unheard
    rig.unheard.update(books.unheard)
    assert all(short <= UNARY_OR_CHECKPOINT for short in books.lower_bounds.values()), books.lower_bounds


async def test_a_gateway_serves_while_everything_but_redis_and_engine_is_down(rig: Rig) -> None:
    for name in ("worker", "api"):
        rig.product.processes[name].kill()
    rig.parts["postgres"].kill()
    try:
        async with running(rig.product, rig.token, seed=7) as load:
            await load.reaches(ENOUGH)
    finally:
        rig.parts["postgres"].start()
        for name in ("worker", "api"):
            rig.product.processes[name].start()
    assert load.succeeded > 0
    assert set(load.answers) == {200}
    assert not load.broken
    for name in ("worker", "api"):
        rig.product.processes[name].wait_ready()
    books = await rig.settled()
    assert books.right, books

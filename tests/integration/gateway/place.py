"""A gateway on its own: a Redis that it may harm, a mock engine, an organisation projected by hand."""

import asyncio
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import httpx
import msgspec
from redis.exceptions import RedisError

from ias.contract import admission, catalogue, keys
from ias.edge import Edge, KeyRecord
from tests.product.processes import BIN, SECRET, Process, is_ok
from tests.services import Services, free_port

ORG, KEY, USER, MODEL = (f"0192d0c0-0000-7000-8000-{number:012}" for number in (1, 2, 3, 4))
FREE = dict.fromkeys(("tokens", "udef", "rps", "tpm", "conc", "urps", "utpm", "uconc", "cap"), -1)
FREE |= {"burst": 1, "uburst": 1, "floor": 16}
CHAT = "/v1/chat/completions"
_UP = re.compile(r"^ias_gateway_(?:redis|shard)_up(?:{.*})? (\S+)$", re.MULTILINE)


class Redis(Protocol):
    """A Redis of whatever kind."""

    @property
    def url(self) -> str: ...


@dataclass
class Place:
    """Where everything is."""

    redis: Redis
    gateway: Process
    engine: Process
    url: str
    probes: str
    control: str
    engine_url: str
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def client(self) -> httpx.AsyncClient:
        client = httpx.AsyncClient(base_url=self.url, timeout=20)
        self.clients.append(client)
        return client

    async def oracle(self) -> dict[str, dict[str, Any]]:
        """What the engine wrote, by request id."""
        async with httpx.AsyncClient() as client:
            return {entry["request_id"]: entry for entry in (await client.get(f"{self.control}/log")).json()}

    async def wrote(self, request_id: str) -> dict[str, Any]:
        """What the engine wrote of a request that is over: of one that is cut, others hear before the engine does."""
        seen: dict[str, dict[str, Any]] = {}

        async def over() -> bool:
            seen.update(await self.oracle())
            return request_id in seen

        await eventually(over)
        return seen[request_id]


@dataclass
class Tenant:
    """One organisation with one key."""

    place: Place
    edge: Edge
    tag: str = field(default_factory=keys.new_tag)
    version: int = 0

    async def begin(self, replicas: tuple[str, ...] | None = None, upstream: str = "mock-gpt") -> "Tenant":
        self.token = keys.mint(self.tag)
        self.record = KeyRecord(keys.fingerprint(self.token), KEY, USER)
        await self.project("org", {"id": ORG, "st": "active"})
        await self.route(replicas or (self.place.engine_url,), upstream)
        await self.limit()
        await self.edge.grant(self.tag, self.record, 1)
        await self.edge.complete(self.tag)
        await self.edge.mark_whole()
        return self

    async def project(self, section: str, fields: dict[str, Any]) -> None:
        self.version += 1
        await self.edge.project(self.tag, section, self.version, fields)

    async def route(self, replicas: tuple[str, ...], upstream: str = "mock-gpt") -> None:
        routes = {
            name: catalogue.ModelRoute(name=name, model_id=MODEL, upstream_name=inner, replicas=replicas)
            for name, inner in (("mock-gpt", upstream), ("mock-embed", "mock-embed"))
        }
        await self.project("routes", {name: catalogue.encode_route(route) for name, route in routes.items()})

    async def limit(self, **limits: int) -> None:
        await self.project("pol", {**FREE, **limits})

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"}

    def body(self, text: str = "hello", **more: Any) -> dict[str, Any]:
        return {"model": "mock-gpt", "messages": [{"role": "user", "content": text}], **more}

    async def chat(self, text: str = "hello", **more: Any) -> httpx.Response:
        return await self.place.client.post(CHAT, json=self.body(text, **more), headers=self.headers)

    async def used(self) -> int:
        """Tokens of the month, once nothing is held: an answer may be read before Redis has read its settlement."""
        standing: list[Any] = []

        async def settled() -> bool:
            standing[:] = await self.edge.standing(self.tag, USER)
            return int(standing[3]) == 0

        await eventually(settled)
        return int(standing[2])

    async def lines(self, number: int = 1) -> list[dict[str, str]]:
        """The outbox, once it has so many lines."""

        async def enough() -> bool:
            try:
                return await self.edge.redis.xlen(admission.outbox(self.tag)) >= number
            except RedisError:  # it was just restarted
                return False

        await eventually(enough)
        entries = await self.edge.redis.xrange(admission.outbox(self.tag))
        return [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in entries]

    async def lines_of(self, *request_ids: str) -> list[dict[str, str]]:
        """The lines of these requests. One that is refused has a line too, where it was on its way to the engine."""
        found: dict[str, dict[str, str]] = {}

        async def there() -> bool:
            found.update({line["r"]: line for line in await self.lines()})
            return found.keys() >= set(request_ids)

        await eventually(there)
        return [found[request_id] for request_id in request_ids]

    async def no_others(self, lines: list[dict[str, str]]) -> None:
        """There are these lines, and at most that of one who was refused on the way to the engine, and got nothing."""
        rest = [line for line in await self.lines() if line not in lines]
        assert not {line["r"] for line in rest} & {line["r"] for line in lines}, rest
        assert [(line["o"], line["pt"], line["ct"]) for line in rest] in ([], [("cut", "0", "0")])

    async def books_agree(self, number: int = 1) -> list[dict[str, str]]:
        """The outbox's lines, which say of each request what the engine wrote."""
        lines = await self.lines(number)
        await self.engine_agrees(lines)
        return lines

    async def engine_agrees(self, lines: list[dict[str, str]]) -> None:
        """These lines say what the engine wrote."""
        for line in lines:
            wrote = await self.place.wrote(line["r"])
            assert (int(line["pt"]), int(line["ct"])) == (wrote["prompt_tokens"], wrote["completion_tokens"]), (
                line,
                wrote,
            )


def tokens_told(stream: bytes) -> int:
    """Tokens in what a client got of the mock engine's stream: each has a chunk of its own."""
    return stream.count(b'"delta":{"content":')


async def eventually(look: Callable[[], Any], within: float = 30.0) -> None:
    """Wait until something is true.

    Raises:
        AssertionError: it is not, in time.
    """
    until = time.monotonic() + within
    while not await look():
        assert time.monotonic() < until, "it did not come true in time"
        await asyncio.sleep(0.02)


def environment(redis: Redis, ports: tuple[int, int], **more: str) -> dict[str, str]:
    """What a gateway is told: time limits that a busy machine does not reach. Who tests one asks for a short one."""
    return {
        "PATH": "/usr/bin:/bin",
        # Where `nox -s compiled` has put the compiled gateway.
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "IAS_REDIS_URL": redis.url,
        "IAS_GATEWAY_PORT": str(ports[0]),
        "IAS_GATEWAY_METRICS_PORT": str(ports[1]),
        "IAS_CACHE_SALT_SECRET": SECRET,
        "IAS_UPSTREAM_ALLOW": "127.0.0.0/8",
        "IAS_SHED_LAG_MS": "10000",  # a machine that is busy with other tests is no overload
        "IAS_REDIS_TIMEOUT_MS": "10000",
        "IAS_FIRST_TOKEN_TIMEOUT": "60",
        "IAS_IDLE_TIMEOUT": "60",
        "IAS_TOTAL_TIMEOUT": "120",
        "IAS_DRAIN_TIMEOUT": "5",
        "IAS_TICK_MS": "50",
        "IAS_LEASE": "30",
        **more,
    }


def logged(folder: Path, name: str) -> list[dict[str, Any]]:
    """The JSON lines of a process's log."""
    return [msgspec.json.decode(line) for line in (folder / f"{name}.log").read_bytes().splitlines()]


def connected(answer: httpx.Response) -> bool:
    """Whether a gateway that shows these metrics takes requests and has a connection to each of its servers of Redis.

    That it lives, as `/health` says, is so before; that it is ready, as `/ready` says, needs a projection.
    """
    told = _UP.findall(answer.text)
    return bool(told) and set(told) == {"1"}


@contextmanager
def place_of(services: Services, folder: Path, given: Redis | None = None, **settings: str) -> Iterator[Place]:
    """A gateway with its engine, on this Redis or on one of its own."""
    ports = [free_port() for _ in range(4)]
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    with nullcontext(given) if given else services.fresh("redis") as redis:
        argv = (sys.executable, "-m", "ias.dev.engine", "--port", str(ports[2]), "--control-port", str(ports[3]))
        engine = Process("engine", argv, {"PATH": "/usr/bin:/bin"}, folder, f"{urls[2]}/health")
        env = environment(redis, (ports[0], ports[1]), **settings)
        # Several workers take no requests before the projection is there.
        probe, tells = ("health", is_ok) if "IAS_GATEWAY_WORKERS" in settings else ("metrics", connected)
        gateway = Process("gateway", (str(BIN / "ias-gateway"),), env, folder, f"{urls[1]}/{probe}", tells=tells)
        try:
            for process in (engine, gateway):
                process.start()
            for process in (engine, gateway):
                process.wait_ready()
            yield Place(redis, gateway, engine, urls[0], urls[1], urls[3], urls[2])
        finally:
            for process in (gateway, engine):
                process.end()

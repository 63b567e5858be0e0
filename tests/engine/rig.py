"""A real vLLM behind a gateway with a Redis of its own, its counters, and tenants that call it."""

import asyncio
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from openai import AsyncOpenAI

from ias.contract import catalogue
from ias.dev.vllm import server
from ias.dev.vllm.installation import Installation
from tests.integration.gateway.place import MODEL, Place, Tenant, environment
from tests.product.processes import BIN, Process
from tests.services import Services, free_port

NAME = server.MODEL
OUTPUT = 512
LOADS_WITHIN_S = 900.0
ANSWERS_WITHIN_S = 300.0
COUNTERS = {"prompt": "vllm:prompt_tokens_total", "generation": "vllm:generation_tokens_total"}
PATIENT = {
    "IAS_FIRST_TOKEN_TIMEOUT": "300",
    "IAS_IDLE_TIMEOUT": "300",
    "IAS_TOTAL_TIMEOUT": "900",
    "IAS_LEASE": "30",
    "IAS_TICK_MS": "250",
    "IAS_DRAIN_TIMEOUT": "10",
}


@contextmanager
def engine(installed: Installation, folder: Path) -> Iterator[Process]:
    """The engine as `make up MODEL=smollm2` starts it; ended by its pid."""
    port = free_port()
    launch = server.launch(installed, port)
    probe = f"http://127.0.0.1:{port}/health"
    env = {**os.environ, **launch.env}
    process = Process("vllm", launch.command, env, folder, probe, ready_within_s=LOADS_WITHIN_S)
    try:
        process.start()
        process.wait_ready()
        yield process
    finally:
        process.end()


@contextmanager
def place(services: Services, vllm: Process, folder: Path) -> Iterator[Place]:
    """A gateway in front of it."""
    ports = (free_port(), free_port())
    urls = [f"http://127.0.0.1:{port}" for port in ports]
    with services.fresh("redis") as redis:
        env = environment(redis, ports, **PATIENT)
        gateway = Process("gateway", (str(BIN / "ias-gateway"),), env, folder, f"{urls[1]}/health")
        try:
            gateway.start()
            gateway.wait_ready()
            yield Place(redis, gateway, vllm, *urls, control="", engine_url=vllm.probe.removesuffix("/health"))
        finally:
            gateway.end()


@dataclass
class Caller(Tenant):
    """An organisation that calls the real model."""

    number: int = 1

    async def begin(self, replicas: tuple[str, ...] | None = None, upstream: str = NAME) -> "Caller":
        await super().begin(replicas, upstream)
        await self.project("org", {"id": f"0192d0c0-0000-7000-8000-9{self.number:011}", "st": "active"})
        return self

    async def route(self, replicas: tuple[str, ...], upstream: str = NAME) -> None:
        route = catalogue.ModelRoute(
            name=NAME,
            model_id=MODEL,
            upstream_name=upstream,
            replicas=replicas,
            context_length=server.CONTEXT,
            max_output_tokens=OUTPUT,
        )
        await self.project("routes", {NAME: catalogue.encode_route(route)})

    @property
    def http(self) -> httpx.AsyncClient:
        """A connection of its own to the gateway, with the key."""
        client = httpx.AsyncClient(base_url=self.place.url, headers=self.headers, timeout=ANSWERS_WITHIN_S)
        self.place.clients.append(client)
        return client

    @property
    def openai(self) -> AsyncOpenAI:
        """OpenAI's own client, which tries once."""
        return AsyncOpenAI(base_url=f"{self.place.url}/v1", api_key=self.token, http_client=self.http, max_retries=0)

    async def ask(self, path: str, fields: Mapping[str, Any]) -> httpx.Response:
        """A request for the model."""
        return await self.http.post(path, json={"model": NAME, **fields})

    async def spent(self, number: int) -> tuple[int, int]:
        """Prompt and output tokens of all lines, once there are so many."""
        lines = await self.lines(number)
        assert len(lines) == number
        return sum(int(line["pt"]) for line in lines), sum(int(line["ct"]) for line in lines)


@dataclass
class Counters:
    """What the engine counts."""

    url: str

    async def read(self) -> dict[str, float]:
        """Prompt tokens, output tokens, and how many requests run or wait."""
        async with httpx.AsyncClient(timeout=ANSWERS_WITHIN_S) as client:
            text = (await client.get(f"{self.url}/metrics")).text
        read = {short: _metric(text, name) for short, name in COUNTERS.items()}
        return read | {"busy": sum(_metric(text, f"vllm:num_requests_{what}") for what in ("running", "waiting"))}

    async def settled(self, still_s: float = 0.5) -> dict[str, float]:
        """The counters once they have stood still for so long."""
        known, since = await self.read(), time.monotonic()
        deadline = since + ANSWERS_WITHIN_S
        while time.monotonic() - since < still_s:
            await asyncio.sleep(0.02)
            now = await self.read()
            if now != known:
                assert time.monotonic() < deadline, now
                known, since = now, time.monotonic()
        return known


def _metric(text: str, name: str) -> float:
    return sum(float(value) for value in re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))

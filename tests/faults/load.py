"""Requests of all kinds, many at once, that keep coming until they are told to stop."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.product import Product

CLIENTS = 12


class Load:
    """What was asked for and how it ended; failures are expected, since things are killed."""

    def __init__(self, product: Product, token: str, seed: int) -> None:
        self.answers: dict[int, int] = {}
        self.broken = 0
        self._url = f"{product.gateway_url}/v1/chat/completions"
        self._headers = {"authorization": f"Bearer {token}"}
        self._random = random.Random(seed)
        self._stopping = False

    @property
    def succeeded(self) -> int:
        return self.answers.get(200, 0)

    async def client(self) -> None:
        """One client: a request after another, some given up half way."""
        async with httpx.AsyncClient(timeout=20) as client:
            while not self._stopping:
                try:
                    await self._request(client)
                except httpx.HTTPError:
                    self.broken += 1
                    await asyncio.sleep(0.05)

    def stop(self) -> None:
        self._stopping = True

    async def reaches(self, successes: int, within: float = 60.0) -> None:
        """Wait until so many requests have been answered well."""
        until = time.monotonic() + within
        while self.succeeded < successes:
            assert time.monotonic() < until, f"{self.succeeded} of {successes} succeeded: {self.answers}, {self.broken}"
            await asyncio.sleep(0.05)

    async def _request(self, client: httpx.AsyncClient) -> None:
        tokens, streamed = self._random.randint(1, 30), self._random.random() < 0.6
        told = f"[[mock tokens={tokens} delay_ms={self._random.choice((0, 5, 10))}]]"
        body = {
            "model": "mock-gpt",
            "stream": streamed,
            "max_tokens": 40,
            "messages": [{"role": "user", "content": f"{told} {'tell me ' * self._random.randint(0, 30)}"}],
        }
        give_up = self._random.random() < 0.2
        async with client.stream("POST", self._url, json=body, headers=self._headers) as answer:
            self.answers[answer.status_code] = self.answers.get(answer.status_code, 0) + 1
            async for _ in answer.aiter_bytes():
                if give_up and streamed:
                    break
        if answer.status_code >= 500:
            assert "retry-after" in answer.headers or answer.status_code == 502, answer.status_code
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(product: Product, token: str, seed: int) -> AsyncIterator[Load]:
    """The load, while the block runs; every client has ended after it."""
    load = Load(product, token, seed)
    async with asyncio.TaskGroup() as group:
        for _ in range(CLIENTS):
            group.create_task(load.client())
        try:
            yield load
        finally:
            load.stop()

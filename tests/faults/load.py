"""Requests of all kinds against all gateways, many at once, that keep coming until they are told to stop."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import msgspec

from tests.faults.witness import Witness

CLIENTS = 12
OF_THE_POOR = 3
"""Clients whose organisation's budget is soon spent."""
DELAYS_MS = (0, 0, 5, 10, 20)
PATIENCE_S = 30.0
REST_S = 0.05
_TELLS = b'"delta":{"content":"'
_NOTHING = b'"delta":{"content":""'


@dataclass(frozen=True)
class Target:
    """Where to ask, and as whom."""

    gateways: Sequence[str]
    token: str
    poor_token: str | None = None


@dataclass
class Load:
    """What was asked for and how it ended; failures are expected, since things are killed."""

    target: Target
    seed: int
    witness: Witness = field(default_factory=Witness)
    answers: dict[int, int] = field(default_factory=dict)
    broken: int = 0
    asked: int = 0
    served_at: dict[str, list[float]] = field(default_factory=dict)
    """When each gateway answered well, in monotonic seconds."""
    directive: str = ""
    """What the engine is told beside tokens and delay, from now on."""
    share: float = 1.0
    """Of the requests that the directive goes to."""
    lies: bool = False
    """Whether the engine may report another usage than it wrote."""
    stopping: bool = False
    resting: bool = False
    """Nothing new is asked for the time being."""

    @property
    def succeeded(self) -> int:
        return self.answers.get(200, 0)

    def served_since(self, moment: float, gateway: str) -> int:
        """How many requests a gateway has answered well since then."""
        return sum(at >= moment for at in self.served_at.get(gateway, ())[-200:])

    def pause(self) -> None:
        """Ask nothing new."""
        self.resting = True

    def resume(self) -> None:
        """Go on."""
        self.resting = False

    async def reaches(self, successes: int, within: float = 60.0) -> None:
        """Wait until so many requests have been answered well."""
        await self.until(lambda: self.succeeded >= successes, within)

    async def serves_again(self, since: float, each: int = 10, within: float = 90.0) -> None:
        """Wait until every gateway has answered so many requests well since then."""
        await self.until(lambda: all(self.served_since(since, one) >= each for one in self.target.gateways), within)

    async def until(self, true, within: float) -> None:  # noqa: ANN001 - a condition
        """Wait until something is true.

        Raises:
            TimeoutError: it is not, in time.
        """
        until = time.monotonic() + within
        while not true():
            if time.monotonic() > until:
                raise TimeoutError(f"in {within:.0f} s: {self.answers}, {self.broken} broken")
            await asyncio.sleep(0.02)

    async def client(self, number: int) -> None:
        """One client: a request after another, some given up half way."""
        dice = random.Random(f"{self.seed} {number}")
        poor = self.target.poor_token is not None and number < OF_THE_POOR
        headers = {"authorization": f"Bearer {self.target.poor_token if poor else self.target.token}"}
        async with httpx.AsyncClient(timeout=PATIENCE_S, headers=headers, trust_env=False, verify=False) as client:
            while not self.stopping:
                if self.resting:
                    await asyncio.sleep(REST_S)
                    continue
                gateway = dice.choice(self.target.gateways)
                self.asked += 1
                try:
                    status = await self._request(client, gateway, dice)
                except (httpx.HTTPError, AttributeError):  # anyio's, of a connection that broke while it was made
                    self.broken += 1
                    status = 0
                if status != 200:
                    await asyncio.sleep(REST_S)

    async def _request(self, client: httpx.AsyncClient, gateway: str, dice: random.Random) -> int:
        streamed, delay = dice.random() < 0.6, dice.choice(DELAYS_MS)
        body = self._body(dice, streamed, delay)
        give_up = streamed and dice.random() < 0.2
        async with client.stream("POST", f"{gateway}/v1/chat/completions", json=body) as answer:
            self._note(answer)
            if answer.status_code != 200:
                await answer.aread()
            elif streamed:
                await self._read_stream(answer, delay, give_up)
            else:
                await self._read_whole(answer)
        if answer.status_code == 200:
            self.served_at.setdefault(gateway, []).append(time.monotonic())
        return answer.status_code

    async def _read_stream(self, answer: httpx.Response, delay: int, give_up: bool) -> None:
        request = answer.headers["x-request-id"]
        self.witness.admit(request, delay)
        self._note_lie(request)
        async for part in answer.aiter_bytes():
            self.witness.seen[request] += part.count(_TELLS) - part.count(_NOTHING)
            if give_up:
                break

    async def _read_whole(self, answer: httpx.Response) -> None:
        request = answer.headers["x-request-id"]
        self.witness.admit(request, None)
        self._note_lie(request)
        usage = msgspec.json.decode(await answer.aread()).get("usage") or {}
        self.witness.seen[request] = usage.get("completion_tokens", 0)

    def _note_lie(self, request: str) -> None:
        if self.lies:
            self.witness.lied.add(request)

    def _note(self, answer: httpx.Response) -> None:
        self.answers[answer.status_code] = self.answers.get(answer.status_code, 0) + 1
        if answer.status_code >= 500 and "retry-after" not in answer.headers:
            self.witness.bare.append(f"{answer.status_code} of {answer.url.port}")

    def _body(self, dice: random.Random, streamed: bool, delay: int) -> dict[str, object]:
        tokens = dice.randint(1, 30) if delay < 20 else dice.randint(20, 60)
        extra = self.directive if dice.random() < self.share else ""
        told = f"[[mock tokens={tokens} delay_ms={delay} {extra}]]"
        return {
            "model": "mock-gpt",
            "stream": streamed,
            "max_tokens": 64,
            "messages": [{"role": "user", "content": f"{told} {'tell me ' * dice.randint(0, 30)}"}],
        }


@asynccontextmanager
async def running(target: Target, seed: int, witness: Witness | None = None) -> AsyncIterator[Load]:
    """The load, while the block runs; every client has ended after it."""
    load = Load(target, seed, witness or Witness())
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(load.client(number))
        try:
            yield load
        finally:
            load.stopping = True

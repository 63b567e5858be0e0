"""Conversations that grow turn by turn, of organisations that have a long system prompt each, on given engines.

What is sent is what the gateway would send, salts included, to the replica that its routing chooses.
"""

import asyncio
from dataclasses import dataclass, field
from random import Random

import httpx
import msgspec

from ias.contract.catalogue import ModelRoute
from ias_gateway.bodies.endpoints import BY_PATH
from ias_gateway.routing import Policy, Routing
from ias_gateway.served import Served

MODEL = "mock-gpt"
PATH = b"/v1/chat/completions"
TURNS = 8
TOKENS = 32
"""Of an answer."""
ORGANISATIONS = (12, 5, 3, 2, 1, 1)
"""How much each of them asks, beside the others."""
SYSTEM_BYTES, TURN_BYTES = 8_000, 400
PAUSE_S = 0.1
_JSON = {"content-type": "application/json"}


@dataclass
class Seen:
    """What one run has seen so far.

    Attributes:
        prompt, cached: tokens of all prompts, and those of them that engines found in their caches.
        ratios: requests under way on the busiest replica over the mean of all, at each dispatch.
        homes: of each conversation, on how many replicas it was computed.
    """

    prompt: int = 0
    cached: int = 0
    ratios: list[float] = field(default_factory=list)
    homes: list[int] = field(default_factory=list)


class _Details(msgspec.Struct):
    cached_tokens: int = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int
    prompt_tokens_details: _Details | None = None


class _Message(msgspec.Struct):
    content: str


class _Choice(msgspec.Struct):
    message: _Message


class _Answer(msgspec.Struct):
    choices: list[_Choice]
    usage: _Usage


class Site:
    """The engines under one way to choose."""

    def __init__(self, urls: tuple[str, ...], policy: Policy, client: httpx.AsyncClient) -> None:
        self.seen = Seen()
        self._route = Served(ModelRoute(name=MODEL, model_id="", upstream_name=MODEL, replicas=urls))
        self._routing = Routing(policy)
        self._client = client
        self._all = [self._routing.choose(self._route, [one for one in urls if one != url], b"") for url in urls]

    async def ask(self, organisation: str, messages: list[dict[str, str]]) -> tuple[str, str]:
        """One turn, dispatched as `completions.py` does it: the answer, and the replica that gave it."""
        endpoint = BY_PATH[PATH]
        request = {"model": MODEL, "messages": messages, "max_tokens": TOKENS}
        body = endpoint.read(msgspec.json.encode(request))
        replica = self._routing.choose(self._route, (), organisation.encode() + body.beginning())
        if replica is None:
            raise RuntimeError("there is no replica")
        replica.outstanding += 1
        loads = [one.outstanding for one in self._all if one is not None]
        self.seen.ratios.append(max(loads) * len(loads) / sum(loads))
        try:
            payload = body.rebuild(MODEL, TOKENS, f"salt of {organisation}")
            told = await self._client.post(f"{replica.url}{PATH.decode()}", content=payload, headers=_JSON)
        finally:
            replica.outstanding -= 1
        answer = msgspec.json.decode(told.raise_for_status().content, type=_Answer)
        self.seen.prompt += answer.usage.prompt_tokens
        details = answer.usage.prompt_tokens_details
        self.seen.cached += details.cached_tokens if details else 0
        return answer.choices[0].message.content, replica.url


async def measure(urls: tuple[str, ...], policy: Policy, conversations: int, at_once: int) -> Seen:
    """All conversations, so many at once."""
    numbers = iter(range(conversations))
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as client:
        site = Site(urls, policy, client)

        async def one_after_another() -> None:
            for number in numbers:
                await _converse(site, number)

        await asyncio.gather(*(one_after_another() for _ in range(at_once)))
    return site.seen


async def _converse(site: Site, number: int) -> None:
    """One conversation from its first turn to its last. The same number always says the same."""
    chance = Random(number)
    organisation = chance.choices(range(len(ORGANISATIONS)), ORGANISATIONS)[0]
    messages = [{"role": "system", "content": _text(Random(-1 - organisation), SYSTEM_BYTES)}]
    homes: set[str] = set()
    for _ in range(TURNS):
        await asyncio.sleep(chance.uniform(0, PAUSE_S))
        messages.append({"role": "user", "content": _text(chance, chance.randrange(TURN_BYTES // 2, TURN_BYTES * 2))})
        said, url = await site.ask(f"organisation {organisation}", messages)
        messages.append({"role": "assistant", "content": said})
        homes.add(url)
    site.seen.homes.append(len(homes))


def _text(chance: Random, size: int) -> str:
    return chance.randbytes(size // 2).hex()

"""Two gateways, five hundred requests at once, room for k: exactly k are let in, and afterwards nothing is held."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from random import Random

import httpx
import msgspec
import pytest

from ias.contract import admission, keys
from ias.edge import Edge, KeyRecord
from tests.integration.contract.driven import CLOCK, driven
from tests.integration.gateway.place import KEY, USER, Place, Tenant, eventually, place_of
from tests.integration.gateway.raw_engine import Call, RawEngine, raw_engine, whole
from tests.services import Services

CROWD = 500
PATH = "/v1/completions"
PROMPT, OUTPUT = 20, 30
HELD = PROMPT + OUTPUT
OK = 200
OTHER = USER[:-1] + "9"

ENOUGH = HELD // 2
LIMITS: dict[str, Callable[[int], dict[str, int]]] = {
    "tokens": lambda room: {"tokens": room * HELD + ENOUGH},
    "udef": lambda room: {"udef": room * HELD + ENOUGH},
    "conc": lambda room: {"conc": room},
    "uconc": lambda room: {"uconc": room},
    "burst": lambda room: {"rps": 1, "burst": room},
    "uburst": lambda room: {"urps": 1, "uburst": room},
    "tpm": lambda room: {"tpm": room * HELD + ENOUGH},
    "utpm": lambda room: {"utpm": room * HELD + ENOUGH},
}
"""Limits of organisation and user with room for so many, and tokens that are not enough for another."""


class Gate:
    """An engine that answers nobody until it is opened, and then says what each has used."""

    def __init__(self, dice: Random) -> None:
        self.opened = asyncio.Event()
        self.used = 0
        self.dice = dice

    async def behave(self, call: Call) -> None:
        await self.opened.wait()
        tokens = self.dice.randint(1, OUTPUT)
        self.used += PROMPT + tokens
        usage = {"prompt_tokens": PROMPT, "completion_tokens": tokens, "total_tokens": PROMPT + tokens}
        choice = {"index": 0, "text": "x", "logprobs": None, "finish_reason": "stop"}
        answer = {"id": "a", "object": "text_completion", "created": 1, "model": "m", "choices": [choice]}
        await call.send(whole(msgspec.json.encode({**answer, "usage": usage})))


@dataclass
class Books:
    """What is counted of the month, of the organisation and of its users."""

    used: int
    held: int
    of_user: dict[str, int]
    live: int
    leases: int


class Crowd:
    """One organisation of two users, before two gateways and a gate."""

    def __init__(self, tenant: Tenant, gateways: tuple[Place, Place], engine: RawEngine, dice: Random) -> None:
        self.tenant, self.gateways, self.engine, self.dice = tenant, gateways, engine, dice
        self.tokens: dict[str, str] = {}
        self.gate = Gate(dice)

    async def begin(self) -> "Crowd":
        await self.tenant.begin((self.engine.url,))
        self.tokens = {USER: self.tenant.token, OTHER: keys.mint(self.tenant.tag)}
        record = KeyRecord(keys.fingerprint(self.tokens[OTHER]), KEY, OTHER)
        await self.tenant.edge.grant(self.tenant.tag, record, 1)
        return self

    async def rush(self, number: int) -> Counter[int | str]:
        """So many requests at once, by both users at both gateways, in any order; what became of them."""
        self.gate = Gate(self.dice)
        self.engine.behave, self.engine.calls = self.gate.behave, []
        who = [(user, place) for user in self.tokens for place in self.gateways] * (number // 4)
        self.dice.shuffle(who)
        asked = [asyncio.create_task(self._ask(place, self.tokens[user])) for user, place in who]

        async def decided() -> bool:
            return sum(task.done() for task in asked) + len(self.engine.calls) == len(asked)

        try:
            await eventually(decided, 60)
            refused = Counter[int | str](task.result() for task in asked if task.done())
            self.held = (await self.books()).held
        finally:
            self.gate.opened.set()
        async with asyncio.timeout(60):
            answered = Counter(await asyncio.gather(*asked))
        return refused + Counter({"admitted": answered[OK]})

    async def _ask(self, place: Place, token: str) -> int:
        url = httpx.URL(place.url)
        reader, writer = await asyncio.open_connection(url.host, url.port)
        content = msgspec.json.encode({"model": "mock-gpt", "prompt": [1] * PROMPT, "max_tokens": OUTPUT})
        head = f"POST {PATH} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\nconnection: close\r\n"
        writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(content) + content)
        answer = await reader.read(-1)
        writer.close()
        return int(answer[9:12])

    async def books(self) -> Books:
        slot, redis = admission.slot(self.tenant.tag), self.tenant.edge.redis
        period = (await self.tenant.edge.standing(self.tenant.tag, USER))[0].decode()
        month = await redis.hgetall(f"{slot}:bud:{period}")
        counts = {name.decode(): int(value) for name, value in month.items()}
        live = await redis.hmget(f"{slot}:g", *(f"l:{user}" for user in self.tokens))
        of_user = {user: counts.get(f"u:{user}", 0) for user in self.tokens}
        leases = await redis.zcard(f"{slot}:resv")
        return Books(counts.get("used", 0), counts.get("resv", 0), of_user, sum(int(one or 0) for one in live), leases)

    async def is_quiet(self) -> bool:
        """Whether nothing is held any more."""
        books = await self.books()
        return not (books.held or books.live or books.leases)


@pytest.fixture(scope="module")
def pair(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Place]]:
    """Two gateways on one Redis."""
    with ExitStack() as stack:
        redis = stack.enter_context(services.fresh("redis"))
        folders = [tmp_path_factory.mktemp(f"crowd-{number}") for number in range(2)]
        one, other = (stack.enter_context(place_of(services, folder, redis)) for folder in folders)
        yield one, other


async def hold_the_clock(edge: Edge, moment: int) -> None:
    """No bucket fills by itself while the machine is slow."""
    await edge.redis.hset(CLOCK, mapping={"s": moment, "us": 0})
    await edge.redis.execute_command("FUNCTION", "LOAD", "REPLACE", driven())


def room_after(name: str, books: Books, limit: dict[str, int], held: int) -> int:
    """For how many more there is room once all have ended, three seconds later."""
    if "burst" in name:
        return min(limit[name], 3) * len(parts(name, books))
    if "conc" in name:
        return limit[name] * len(parts(name, books))
    return sum((limit[name] - used) // held for used in parts(name, books))


def parts(name: str, books: Books) -> list[int]:
    """What counts against the limit: of each user, or of all."""
    return list(books.of_user.values()) if name.startswith("u") else [books.used]


@pytest.mark.parametrize("seed", range(20))
async def test_exactly_as_many_as_there_is_room_for_are_let_in(
    pair: tuple[Place, Place], tenants: Callable[[Place], Tenant], seed: int
) -> None:
    dice, now = Random(seed), int(time.time())
    name = list(LIMITS)[seed % len(LIMITS)]
    room = dice.randint(1, 40)
    limit = LIMITS[name](room)
    async with raw_engine(Gate(dice).behave) as engine:
        crowd = Crowd(tenants(pair[0]), pair, engine, dice)
        await hold_the_clock(crowd.tenant.edge, now)
        await crowd.begin()
        await crowd.tenant.limit(**limit, floor=OUTPUT)

        expected = room * len(parts(name, await crowd.books()))
        assert await crowd.rush(CROWD) == {"admitted": expected, 429: CROWD - expected}, (name, room)
        assert crowd.held == expected * HELD
        await eventually(crowd.is_quiet, 30)
        books = await crowd.books()
        assert books.used == sum(books.of_user.values()) == crowd.gate.used
        assert [line["l"] for line in await crowd.tenant.lines(expected)] == ["1"] * expected

        if "burst" in name:
            await hold_the_clock(crowd.tenant.edge, now + 3)
        expected = room_after(name, books, limit, HELD)
        assert await crowd.rush(100) == {"admitted": expected, 429: 100 - expected}, (name, room)
        await eventually(crowd.is_quiet, 30)
        assert (await crowd.books()).used == books.used + crowd.gate.used

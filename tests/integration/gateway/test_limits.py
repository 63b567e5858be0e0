"""`/v1/usage/limits` tells what admission goes by, and the headers of every answer tell the same."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime

import httpx
import pytest

from tests.integration.contract.driven import CLOCK, driven
from tests.integration.gateway.place import CHAT, Place, Tenant, place_of
from tests.services import Services

PATH = "/v1/usage/limits"
LONG = "[[mock tokens=3000 delay_ms=10]]"


async def told(tenant: Tenant, place: Place | None = None) -> dict[tuple[str, str], dict]:
    answer = await (place or tenant.place).client.get(PATH, headers=tenant.headers)
    assert answer.status_code == 200, answer.text
    return {(limit["kind"], limit["scope"]): limit for limit in answer.json()["data"]}


def ms(duration: str) -> float:
    """`1m0.5s`, `12ms` as milliseconds."""
    if duration.endswith("ms"):
        return float(duration[:-2])
    minutes, _, seconds = duration.rpartition("m")
    return round(float(minutes or 0) * 60_000 + float(seconds[:-1]) * 1000)


@pytest.fixture(scope="module")
def twins(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Place]]:
    """Two gateways on one Redis, whose clock is held."""
    with ExitStack() as stack:
        redis = stack.enter_context(services.fresh("redis"))
        folders = [tmp_path_factory.mktemp(f"limits-{number}") for number in range(2)]
        one, other = (stack.enter_context(place_of(services, folder, redis)) for folder in folders)
        yield one, other


class Held:
    """A tenant before two gateways, in a moment that lasts."""

    def __init__(self, tenant: Tenant, places: tuple[Place, Place]) -> None:
        self.tenant, self.places = tenant, places
        self.ms = int(time.time()) * 1000

    async def begin(self) -> "Held":
        await self.later(0)
        await self.tenant.edge.redis.execute_command("FUNCTION", "LOAD", "REPLACE", driven())
        await self.tenant.begin()
        return self

    async def later(self, wait_ms: int) -> None:
        self.ms += wait_ms
        await self.tenant.edge.redis.hset(CLOCK, mapping={"s": self.ms // 1000, "us": self.ms % 1000 * 1000})

    async def chat(self, place: int = 0, text: str = "hello", **more: object) -> httpx.Response:
        body = self.tenant.body(text, max_tokens=5, **more)
        return await self.places[place].client.post(CHAT, json=body, headers=self.tenant.headers)

    async def until_refused(self, text: str = "hello") -> httpx.Response:
        """Ask at both in turn, each time once what was not used has come back; the first refusal."""
        for number in range(1, 1000):
            answer = await self.chat(0, text)
            if answer.status_code != 200:
                return answer
            await self.tenant.lines(number)
            self.places = self.places[::-1]
        raise AssertionError("nothing is refused")

    async def told(self) -> dict[tuple[str, str], dict]:
        """By the other gateway."""
        return await told(self.tenant, self.places[1])


@pytest.fixture
async def held(twins: tuple[Place, Place], tenants: Callable[[Place], Tenant]) -> Held:
    return await Held(tenants(twins[0]), twins).begin()


def agree(headers: httpx.Headers, kind: str, limit: dict, now_ms: int) -> None:
    """The headers say of a kind what this limit says."""
    told = [headers[f"x-ratelimit-{what}-{kind}"] for what in ("limit", "remaining", "reset")]
    assert told[:2] == [str(limit["limit"]), str(limit["remaining"])]
    resets_at = datetime.fromisoformat(limit["resets_at"]).timestamp() * 1000
    assert 0 <= resets_at - (now_ms + ms(told[2])) < 1000


async def test_every_limit_is_told_for_organisation_and_user(tenant: Tenant) -> None:
    await tenant.limit(tokens=10_000, udef=5_000, rps=10, burst=20, tpm=60_000, conc=7)
    used = (await tenant.chat(max_tokens=5)).json()["usage"]["total_tokens"]
    await tenant.lines()
    limits = await told(tenant)
    assert len(limits) == 8
    budget = limits["budget", "organisation"]
    assert (budget["limit"], budget["used"], budget["held"], budget["remaining"]) == (10_000, used, 0, 10_000 - used)
    assert budget["resets_at"].endswith("-01T00:00:00Z")
    assert (budget["rate"], budget["per"]) == (None, "month")
    assert limits["budget", "user"]["remaining"] == 5_000 - used
    requests = limits["requests", "organisation"]
    assert (requests["limit"], requests["rate"], requests["per"]) == (20, 10, "second")
    assert requests["used"] in {0, 1}
    assert limits["tokens", "organisation"]["rate"] == 60_000
    assert limits["requests", "user"]["limit"] is limits["requests", "user"]["remaining"] is None
    assert limits["concurrency", "organisation"] == {
        "scope": "organisation",
        "kind": "concurrency",
        "unit": "requests at once",
        "limit": 7,
        "used": 0,
        "held": 0,
        "remaining": 7,
        "rate": None,
        "per": None,
        "resets_at": limits["concurrency", "organisation"]["resets_at"],
    }


async def test_the_headers_of_an_answer_agree_with_the_limits_of_the_same_moment(held: Held) -> None:
    """A stream, so that what it holds is held while the limits are read; of two scopes the narrower speaks."""
    await held.tenant.limit(rps=7, burst=9, urps=3, uburst=4, tpm=6_000, utpm=60_001, uconc=9)
    async with asyncio.timeout(20), httpx.AsyncClient(base_url=held.places[0].url) as client:
        body = held.tenant.body(LONG, stream=True, max_tokens=3000)
        async with client.stream("POST", CHAT, json=body, headers=held.tenant.headers) as answer:
            assert answer.status_code == 200
            limits = await held.told()
    agree(answer.headers, "requests", limits["requests", "user"], held.ms)
    agree(answer.headers, "tokens", limits["tokens", "organisation"], held.ms)
    assert limits["requests", "user"]["remaining"] == 3
    assert limits["requests", "organisation"]["remaining"] == 8
    assert limits["concurrency", "user"]["used"] == 1


@pytest.mark.parametrize(
    ("limits", "kind", "scope"),
    [
        ({"rps": 3, "burst": 5}, "requests", "organisation"),
        ({"urps": 7, "uburst": 8}, "requests", "user"),
        ({"tpm": 400}, "tokens", "organisation"),
        ({"utpm": 433, "tpm": 100_000, "rps": 100, "burst": 100}, "tokens", "user"),
    ],
)
async def test_a_refusal_is_true_to_the_millisecond_at_either_gateway(
    held: Held, limits: dict[str, int], kind: str, scope: str
) -> None:
    await held.tenant.limit(**limits)
    answer = await held.until_refused()
    told = (await held.told())[kind, scope]
    assert answer.status_code == 429, answer.text
    agree(answer.headers, kind, told, held.ms)
    wait_ms = int(answer.headers["retry-after-ms"])
    assert wait_ms > 0
    assert int(answer.headers["retry-after"]) == -(-wait_ms // 1000)
    assert f"limit of {told['rate']} {kind} per {told['per']}" in answer.json()["error"]["message"]
    await held.later(wait_ms - 1)
    assert (await held.chat(1)).status_code == 429
    await held.later(1)
    assert (await held.chat(1)).status_code == 200


async def test_a_refusal_over_a_budget_says_what_the_limits_say(held: Held) -> None:
    await held.tenant.limit(tokens=1_000, udef=300)
    answer = await held.until_refused("budget " * 5)
    error, budget = answer.json()["error"], (await held.told())["budget", "user"]
    assert error["code"] == "insufficient_quota"
    assert f"budget of {budget['limit']} tokens" in error["message"]
    assert f"{budget['used']} are used and {budget['held']} held" in error["message"]
    assert budget["resets_at"] in error["message"]
    resets_at = datetime.fromisoformat(budget["resets_at"]).timestamp()
    assert resets_at == datetime.fromtimestamp(held.ms // 1000, UTC).timestamp() + int(answer.headers["retry-after"])


async def test_a_refusal_over_concurrency_says_what_the_limits_say(held: Held) -> None:
    await held.tenant.limit(uconc=1, conc=5)
    async with httpx.AsyncClient(base_url=held.places[0].url) as client:
        body = held.tenant.body(LONG, stream=True)
        async with client.stream("POST", CHAT, json=body, headers=held.tenant.headers) as stream:
            assert stream.status_code == 200
            limits = await held.told()
            answer = await held.chat(1)
    assert (limits["concurrency", "user"]["remaining"], limits["concurrency", "organisation"]["remaining"]) == (0, 4)
    assert (answer.status_code, answer.headers["retry-after-ms"]) == (429, "1000")
    assert "Your personal limit of 1 concurrent requests" in answer.json()["error"]["message"]


async def test_without_a_good_key_nothing_is_told(tenant: Tenant) -> None:
    assert (await tenant.place.client.get(PATH)).status_code == 401
    await tenant.edge.revoke(tenant.tag, tenant.record, 2)
    assert (await tenant.place.client.get(PATH, headers=tenant.headers)).status_code == 401

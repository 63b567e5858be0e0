"""Driving the api process: people with sessions, the rate that it holds, and what that costs."""

import asyncio
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from math import ceil
from random import Random

import asyncpg
import httpx
import msgspec

from bench.arrivals import Plan, Told
from bench.ground import BIN, ROOT, SECRET, Ground, cpu_s, rss_mb
from bench.mix import ALONE, BAR_MS, PREFIX, ROUTES, Caller, Mix, Route
from bench.pages import PAGE_MS, look
from bench.population import Member, Population, Tenant, address
from bench.seeding import PASSWORD
from ias.identity.access.tokens import Access, issue
from tests.services import free_port

STEPS = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Shares of the rate that are tried, one after the other, until one is held."""
SUCCESSES = range(200, 300)
CALLERS = 200
ANALYTICS = tuple(route for route in ROUTES if route.path.startswith("/analytics"))
WARM_S = 5.0
PROBE_S = 10.0
LOGINS = 15


class Row(msgspec.Struct):
    """A route in a run of `rps` requests a second of all routes; `count` of them were this one's."""

    route: str
    rps: float
    count: int
    p50_ms: float
    p99_ms: float
    bar_ms: float | None


class Page(msgspec.Struct):
    """A page of the console, looked at so many times one after the other; as many KiB came, compressed, at most."""

    route: str
    count: int
    p50_ms: float
    p99_ms: float
    kilobytes: float
    bar_ms: float
    failures: dict[str, int]


class Costs(msgspec.Struct):
    """Microseconds of CPU that a request of the mix took of each, in the mean; memory of the api process, MiB."""

    api_us: float
    postgres_us: float
    redis_us: float
    generator_us: float
    api_mb: float


class Try(msgspec.Struct):
    """A rate that was tried.

    `busy`: under way at most, `late_ms`: how late the generator itself was at most, `given_up`: too many were waiting.
    """

    rps: float
    p50_ms: float
    p99_ms: float
    failures: dict[str, int]
    busy: int
    late_ms: float
    given_up: bool

    @property
    def held(self) -> bool:
        """Whether the rate was held."""
        return self.p99_ms < BAR_MS and not self.failures and not self.given_up


class Drive:
    """One api process under load."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self.port = free_port()
        env = {"IAS_API_PORT": str(self.port), "IAS_JWT_SECRET": SECRET}
        self._process = ground.start("api", (str(BIN / "ias"), "api"), env)
        self._process.wait_until(self._ready)

    def highest(self, mix: Mix, rate: float, seconds: float) -> tuple[list[Try], Costs, list[Row]]:
        """Drive it at the rate, or the highest share of it that it holds."""
        tries: list[Try] = []
        for share in STEPS:
            tries.append(self._at(mix, rate * share, min(PROBE_S, seconds))[0])
            if tries[-1].held or share == STEPS[-1]:
                tried, costs, rows = self._at(mix, rate * share, seconds)
                tries.append(tried)
                if tried.held:
                    return tries, costs, rows
        return tries, costs, rows

    def events_of(self, tenant: Tenant) -> int:
        """How many usage events an organisation has."""
        return asyncio.run(_events_of(self._ground.postgres.url, tenant))

    def analytics(self, mix: Mix, rate: float, seconds: float) -> tuple[Try, list[Row]]:
        """Drive the routes of analytics alone."""
        tried, _, rows = self._at(mix, rate, seconds, ANALYTICS)
        return tried, rows

    def _at(self, mix: Mix, rate: float, seconds: float, of: Sequence[Route] = ROUTES) -> tuple[Try, Costs, list[Row]]:
        warm = int(rate * WARM_S)
        names, requests = mix.requests(warm + int(rate * seconds), self.port, of)
        file = self._ground.folder / "plan"
        file.write_bytes(msgspec.msgpack.encode(Plan(self.port, rate, warm, requests)))
        meters = (self._process, self._ground.postgres, self._ground.redis)
        before = [cpu_s(meter) for meter in meters]
        done = subprocess.run(
            (sys.executable, "-m", "bench.arrivals", str(file)), cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        used = [cpu_s(meter) - was for meter, was in zip(meters, before, strict=True)]
        told = msgspec.json.decode(done.stdout, type=Told)
        each = [round(seconds / (told.skipped + len(told.took_ms)) * 1e6) for seconds in used]
        generator = round(told.cpu_s / len(told.took_ms) * 1e6)
        costs = Costs(*each, generator_us=generator, api_mb=round(rss_mb(self._process), 1))
        names = names[told.skipped :][: len(told.took_ms)]
        return _tried(rate, names, told), costs, _rows(rate, names, told)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health", timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False


def callers(people: Population, secret: str = SECRET) -> list[Caller]:
    """Members and admins of organisations from all over, and system admins; their tokens made as a login makes them."""
    random, everybody = Random(1), list[Caller]()
    now = datetime.now(UTC)

    def caller(role: str, tenant: Tenant, member: Member) -> Caller:
        return Caller(role, tenant, member, issue(Access(member.id, member.session), secret, now))

    largest, *others = people.tenants
    for tenant in [largest, *random.sample(others, min(CALLERS, len(others)))]:
        everybody.append(caller("admin", tenant, tenant.members[0]))
        everybody.append(caller("user", tenant, random.choice(tenant.members[1:])))
    for admin in people.admins:
        everybody += [caller("system", tenant, admin) for tenant in random.sample(people.tenants, 20)]
    return everybody


async def _events_of(url: str, tenant: Tenant) -> int:
    connection = await asyncpg.connect(url)
    try:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM analytics.usage_events WHERE org_id = $1", tenant.id
        )
        return count
    finally:
        await connection.close()


def covered(port: int) -> None:
    """Nothing, where the mix has every GET of the API's document.

    Raises:
        RuntimeError: it has not; the message says which.
    """
    document = httpx.get(f"http://127.0.0.1:{port}{PREFIX}/openapi.json", timeout=30, trust_env=False).json()
    asked = {generic(route.path) for route in ROUTES if route.method == "GET"}
    there = {generic(path.removeprefix(PREFIX)) for path, item in document["paths"].items() if "get" in item}
    if missing := sorted(route for route in there - asked - ALONE):
        raise RuntimeError(f"bench/mix.py has no row for GET {', GET '.join(missing)}")


def logins(port: int, people: Sequence[Caller]) -> Row:
    """People who log in, one after the other: how long a password takes."""
    took = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}{PREFIX}", timeout=60, trust_env=False) as client:
        for who in people[:LOGINS]:
            began = time.perf_counter()
            answer = client.post("/auth/login", json={"email": address(who.member), "password": PASSWORD})
            took.append((time.perf_counter() - began) * 1000)
            answer.raise_for_status()
    return _row("POST /auth/login (one after the other)", 1000 * len(took) / sum(took), took, None)


def visited(port: int, people: Population, everybody: Sequence[Caller], times: int) -> list[Page]:
    """The console's pages, each looked at by people of every role that may, one after the other."""
    return [
        Page(*_timed(name, seen.took_ms), seen.kilobytes, PAGE_MS, seen.failures)
        for name, seen in look(port, people, everybody, times).items()
    ]


def generic(path: str) -> str:
    """A path whatever its names are called."""
    return "/".join("{}" if part.startswith("{") else part for part in path.split("/"))


def _tried(rate: float, names: list[str], told: Told) -> Try:
    whole = _row("", rate, told.took_ms)
    failures = defaultdict[str, int](int)
    for name, status in zip(names, told.statuses, strict=True):
        if status not in SUCCESSES:
            failures[f"{name}: {status}"] += 1
    return Try(rate, whole.p50_ms, whole.p99_ms, dict(failures), told.busy, told.late_ms, told.given_up)


def _rows(rate: float, names: list[str], told: Told) -> list[Row]:
    """The whole mix, then each route."""
    took = defaultdict[str, list[float]](list)
    for name, milliseconds in zip(names, told.took_ms, strict=True):
        took[name].append(milliseconds)
    each = [_row(route.name, rate, took[route.name], route.bar_ms) for route in ROUTES if took[route.name]]
    return [_row("the whole mix", rate, told.took_ms), *each]


def _row(name: str, rate: float, took: list[float], bar: float | None = BAR_MS) -> Row:
    _, count, p50, p99 = _timed(name, took)
    return Row(name, round(rate, 1), count, p50, p99, bar)


def _timed(name: str, took: list[float]) -> tuple[str, int, float, float]:
    ordered = sorted(took) or [0.0]
    # Nearest rank: of a hundred values the 99th in order is the p99, and not the largest one.
    p50, p99 = (round(ordered[max(ceil(len(ordered) * share) - 1, 0)], 1) for share in (0.5, 0.99))
    return name, len(took), p50, p99

"""The rig: two gateways, worker and api on services of their own, with a fault proxy between any two parts."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from ias.contract import keys
from tests.faults.checker import UNBILLED_MS, Books, check, look_into_redis
from tests.faults.load import Target
from tests.faults.proxy import Proxies, Proxy, proxies
from tests.faults.witness import Witness
from tests.product import Org, Person, Product, product
from tests.product.people import login, new_org, system_admin
from tests.product.processes import Process, gateway_process
from tests.services import Service, Services

LEASE_S = 3
QUIET_WITHIN_S = 60.0
UNCHANGED_S = 20.0
"""What is wrong for so long in books that are quiet stays wrong."""
MODEL = "mock-gpt"
POOR_TOKENS = 6_000
"""What the poor organisation may still use when a fault begins."""
SETTINGS = {
    "IAS_LEASE": str(LEASE_S),
    "IAS_REDIS_TIMEOUT_MS": "250",
    "IAS_RELAY_TAKEOVER_S": "3",
    "IAS_RELAY_AGAIN_S": "5",
    "IAS_FIRST_TOKEN_TIMEOUT": "6",
    "IAS_IDLE_TIMEOUT": "3",
    "IAS_TOTAL_TIMEOUT": "10",
    "IAS_DRAIN_TIMEOUT": "6",
}


@dataclass
class Rig:
    """Everything that can be harmed, and what was seen of it.

    Attributes:
        parts: the services.
        links: a proxy for each pair, `"gateway redis"` and so on.
        limits: budgets by the organisation's tag.
        unheard: requests that an engine was killed over.
        figures: what was measured on the way, by promise.
        before: what an earlier fault has left wrong, and is not to be laid to a later one.
    """

    product: Product
    parts: dict[str, Service]
    links: dict[str, Proxy]
    admin: Person
    orgs: dict[str, Org]
    tokens: dict[str, str]
    limits: dict[str, int | None]
    witness: Witness = field(default_factory=Witness)
    unheard: set[str] = field(default_factory=set)
    figures: dict[str, float] = field(default_factory=dict)
    before: Books = field(default_factory=Books)
    most_unbilled_ms: float = UNBILLED_MS

    @property
    def target(self) -> Target:
        return Target(self.gateways, self.tokens["free"], self.tokens["poor"])

    @property
    def gateways(self) -> tuple[str, str]:
        return self.product.gateway_url, f"http://127.0.0.1:{self.second.env['IAS_GATEWAY_PORT']}"

    @property
    def first(self) -> Process:
        return self.product.processes["gateway"]

    @property
    def second(self) -> Process:
        return self.product.processes["second-gateway"]

    @property
    def amqp_url(self) -> str | None:
        return self.parts["rabbitmq"].url if "rabbitmq" in self.parts else None

    def process(self, name: str) -> Process:
        """One of the product's processes."""
        return self.product.processes[name]

    def running(self) -> int:
        """Requests under way on the engine, as it says itself."""
        return len(httpx.get(f"{self.product.control_url}/running", timeout=10).json())

    def restart(self, name: str, **env: str) -> None:
        """Start a process that has ended, with these settings beside its own; wait until it is ready."""
        self.begin(name, **env)
        self.process(name).wait_ready()

    def begin(self, name: str, **env: str) -> None:
        """The same, without waiting."""
        process = self.process(name)
        usual = process.env
        process.env = {**usual, **env}
        try:
            process.start()
        finally:
            process.env = usual

    def ended(self, name: str) -> bool:
        """Whether a process is gone."""
        child = self.process(name).child
        return child is None or child.poll() is not None

    def grant(self, tokens: int = POOR_TOKENS) -> None:
        """Let the poor organisation use so many tokens more than it has."""
        self.admin = login(self.product, self.admin.email)
        for org in self.orgs.values():
            org.user = login(self.product, org.user.email)
        budget = f"/organizations/{self.orgs['poor'].id}/budget"
        self.allow("poor", self.admin.get(budget)["used_tokens"] + tokens)

    def allow(self, name: str, tokens: int | None) -> None:
        """Give an organisation so many tokens a month; None is no limit. A limit is never lowered here."""
        self.limits[tag_of(self.tokens[name])] = tokens
        budget = f"/organizations/{self.orgs[name].id}/budget"
        self.admin.api.patch(budget, json={"monthly_tokens": tokens}).raise_for_status()

    def try_to_revoke(self, name: str, key: str) -> int:
        """The status that an organisation's user gets who revokes a key."""
        return self.orgs[name].user.api.delete(f"/api-keys/{key}").status_code

    def revoke(self, name: str, key: str) -> None:
        """Revoke a key."""
        status = self.try_to_revoke(name, key)
        assert status in {200, 204}, status

    async def books(self) -> Books:
        """The books as they are now."""
        urls = self.parts["postgres"].url, self.parts["redis"].url
        books = await check(*urls, self.product.oracle, self.witness, self.amqp_url)
        books.most_unbilled_ms = self.most_unbilled_ms
        return books.less(self.before)

    async def forgive(self) -> None:
        """Whatever is wrong now is known."""
        self.before = Books()
        self.before = await self.books()

    async def settled(self, blind_ms: float = 0.0) -> Books:
        """The books once they are quiet and right, or as they are when it is too late for that.

        A gateway was killed that could tell Redis nothing for `blind_ms` before.
        """
        until = time.monotonic() + QUIET_WITHIN_S
        wrongs: list[str] = []
        same_since = time.monotonic()
        while True:
            quick = Books()
            await look_into_redis(self.parts["redis"].url, quick)
            late = time.monotonic() > until
            if quick.less(self.before).quiet or late:
                books = await self.books()
                books.most_unbilled_ms += blind_ms
                if books.wrongs() != wrongs:
                    wrongs, same_since = books.wrongs(), time.monotonic()
                if not wrongs or late or (books.quiet and time.monotonic() > same_since + UNCHANGED_S):
                    return books
            await asyncio.sleep(0.2)

    def overshoot(self, books: Books) -> int:
        """Most tokens by which a budget was passed, in any sample or in the ledger."""
        finals = [
            books.spent[org.id] - limit
            for name, org in self.orgs.items()
            if (limit := self.limits[tag_of(self.tokens[name])]) is not None
        ]
        return max([self.witness.overshoot, *finals, 0])


@contextmanager
def rig(services: Services, folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Rig]:
    """The rig, running and ready; everything is ended afterwards."""
    with ExitStack() as stack:
        parts: dict[str, Service] = {
            "postgres": stack.enter_context(services.fresh("postgres", {"fsync": "on"})),
            "redis": stack.enter_context(services.fresh("redis")),
        }
        if "rabbitmq" not in services.world.missing:
            parts["rabbitmq"] = stack.enter_context(services.fresh("rabbitmq"))
        links = _links(stack.enter_context(proxies()), parts)
        usual = SETTINGS | {"IAS_SPOOL_DIR": str(folder / "spool")}
        whole = stack.enter_context(_product(folder, parts, links, usual | dict(settings or {})))
        links["gateway engine"] = stack.enter_context(proxies()).before(whole.engine_url)
        admin = system_admin(whole)
        admin.post("/models", {"name": MODEL, "backends": [{"url": links["gateway engine"].url}]})
        orgs = {name: new_org(admin) for name in ("free", "poor", "exact")}
        tokens = {name: org.user.issue_key()["token"] for name, org in orgs.items()}
        for org in orgs.values():
            answer = admin.api.patch(f"/organizations/{org.id}/budget", json={"monthly_tokens": None})
            answer.raise_for_status()
        limits: dict[str, int | None] = {tag_of(token): None for token in tokens.values()}
        yield Rig(whole, parts, links, admin, orgs, tokens, limits)


def _links(some: Proxies, parts: Mapping[str, Service]) -> dict[str, Proxy]:
    pairs = [(who, "redis") for who in ("gateway", "second-gateway", "worker", "api")]
    pairs += [("worker", "postgres"), ("api", "postgres"), ("worker", "rabbitmq")]
    return {f"{who} {part}": some.before(parts[part].url) for who, part in pairs if part in parts}


@contextmanager
def _product(
    folder: Path, parts: Mapping[str, Service], links: Mapping[str, Proxy], settings: Mapping[str, str]
) -> Iterator[Product]:
    names = {"redis": "IAS_REDIS_URL", "postgres": "IAS_DATABASE_URL", "rabbitmq": "IAS_AMQP_URL"}
    apart: dict[str, dict[str, str]] = {}
    for pair, link in links.items():
        who, part = pair.split()
        apart.setdefault(who, {})[names[part]] = link.url
    amqp = parts["rabbitmq"].url if "rabbitmq" in parts else None
    with product(folder, parts["postgres"].url, parts["redis"].url, amqp, {**settings, **apart}) as whole:
        second = gateway_process(whole, "second-gateway", apart["second-gateway"])
        whole.processes[second.name] = second
        second.start()
        try:
            second.wait_ready()
            yield whole
        finally:
            second.end()


def tag_of(token: str) -> str:
    """The organisation's tag, as its keys carry it."""
    found = keys.tag_of(token.encode())
    assert found is not None
    return found

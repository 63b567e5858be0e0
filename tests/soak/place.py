"""What is soaked: services of its own, a gateway of several workers, two replicas, three organisations."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.product import Person, Product, product
from tests.product.people import new_org, system_admin
from tests.product.processes import Process, engine_process
from tests.services import Services, free_port
from tests.soak.mix import EMBEDDER, MODEL, Tenant

WORKERS = 2
TIGHT = {"requests_per_second": 5, "burst": 5, "concurrency": 2}
POOR_TOKENS = 20_000
SETTINGS = {
    "IAS_GATEWAY_WORKERS": str(WORKERS),
    "IAS_REDIS_TIMEOUT_MS": "250",
    "IAS_FIRST_TOKEN_TIMEOUT": "10",
    "IAS_IDLE_TIMEOUT": "5",
    "IAS_TOTAL_TIMEOUT": "20",
    "IAS_DRAIN_TIMEOUT": "10",
    "IAS_ACCESS_LOG": "false",
    "IAS_RELAY_TAKEOVER_S": "3",
    "IAS_RELAY_AGAIN_S": "5",
}


@dataclass(frozen=True)
class Urls:
    """Of services that nobody else uses: the soak counts all that is in them."""

    database: str
    redis: str
    amqp: str | None


@dataclass
class Place:
    """Where everything is. `tokens` are keys by tenant; the engines are replicas that write to one log."""

    product: Product
    urls: Urls
    second: Process
    engines: tuple[str, str]
    controls: tuple[str, str]
    admin: Person
    model: str
    tokens: dict[str, str]

    @property
    def gateway(self) -> Process:
        return self.product.processes["gateway"]

    def route(self, *urls: str) -> None:
        """Have the model served by these replicas alone."""
        answer = self.admin.api.patch(f"/models/{self.model}", json={"backends": [{"url": url} for url in urls]})
        answer.raise_for_status()

    def running(self, replica: int) -> int:
        """Requests under way on a replica, as it says itself."""
        return len(httpx.get(f"{self.controls[replica]}/running", timeout=10).json())

    def workers(self) -> dict[str, int | None]:
        """The pid of each worker of the gateway; None where it is being started."""
        told = httpx.get(f"{self.product.metrics_url}/health", timeout=10).json()["workers"]
        return {name: each["pid"] for name, each in told.items()}


@contextmanager
def own_services(services: Services) -> Iterator[Urls]:
    """Servers of the soak's own."""
    with ExitStack() as stack:
        postgres = stack.enter_context(services.fresh("postgres"))
        redis = stack.enter_context(services.fresh("redis"))
        has_broker = "rabbitmq" not in services.world.missing
        amqp = stack.enter_context(services.fresh("rabbitmq")).url if has_broker else None
        yield Urls(postgres.url, redis.url, amqp)


@contextmanager
def own_part(services: Services) -> Iterator[Urls]:
    """A database and a virtual host of servers that others use too, and a Redis."""
    with ExitStack() as stack:
        database = stack.enter_context(services.database())
        redis = stack.enter_context(services.fresh("redis"))
        amqp = None if services.amqp_url is None else stack.enter_context(services.virtual_host())
        yield Urls(database, redis.url, amqp)


@contextmanager
def place(urls: Urls, folder: Path, settings: dict[str, str]) -> Iterator[Place]:
    """All of it, running and ready; ended afterwards."""
    with ExitStack() as stack:
        whole = stack.enter_context(product(folder, urls.database, urls.redis, urls.amqp, SETTINGS | settings))
        ports = free_port(), free_port()
        second = engine_process(whole, "second-engine", ports)
        stack.callback(second.end)
        second.start()
        second.wait_ready()
        engines = whole.engine_url, f"http://127.0.0.1:{ports[0]}"
        controls = whole.control_url, f"http://127.0.0.1:{ports[1]}"
        admin = system_admin(whole)
        backends = [{"url": url} for url in engines]
        model = admin.post("/models", {"name": MODEL, "backends": backends})["id"]
        admin.post("/models", {"name": EMBEDDER, "backends": backends})
        yield Place(whole, urls, second, engines, controls, admin, model, _tenants(admin))


def _tenants(admin: Person) -> dict[str, str]:
    """A key of an organisation of each sort."""
    orgs = {tenant: new_org(admin) for tenant in Tenant}
    budgets = {Tenant.FREE: None, Tenant.TIGHT: None, Tenant.POOR: POOR_TOKENS}
    for tenant, tokens in budgets.items():
        admin.api.patch(f"/organizations/{orgs[tenant].id}/budget", json={"monthly_tokens": tokens}).raise_for_status()
    admin.api.put(f"/organizations/{orgs[Tenant.TIGHT].id}/limits", json=TIGHT).raise_for_status()
    return {tenant: org.user.issue_key()["token"] for tenant, org in orgs.items()}

"""The api process, a reconciler in this process, and organisations bound to real repositories."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from ias.contract import admission
from ias.db import close_pool, open_pool
from ias.edge import Edge
from ias.gitops.doors import Reconciler
from ias.settings import settings
from tests.integration.gitops.repos import Repo
from tests.integration.identity.conftest import (
    Api,
    Org,
    database_url,
    environment,
    good,
    migrated,
    new_org,
    root,
    running,
)
from tests.services import Services

__all__ = ["database_url", "migrated", "root"]

WEBHOOK_SECRET = "a webhook secret for tests, long enough"


@pytest.fixture(scope="session")
def gitops_env(services: Services, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("gitops")
    return {
        **environment(database_url, services.redis_url),
        "IAS_GITOPS_LOCAL": str(folder / "repositories"),
        "IAS_GITOPS_DIR": str(folder / "mirrors"),
        "IAS_GITOPS_WEBHOOK_SECRET": WEBHOOK_SECRET,
        "IAS_GITOPS_EVERY_S": "3600",
        "IAS_GITOPS_FETCH_S": "30",
        "IAS_GITOPS_FETCH_MIB": "8",
        "IAS_UPSTREAM_ALLOW": "127.0.0.0/8",
    }


@pytest.fixture(scope="session")
def api(gitops_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("api"), gitops_env) as whole:
        yield whole


@dataclass
class Ground:
    """The reconciler, and what it writes."""

    edge: Edge
    owner: "asyncpg.Connection[asyncpg.Record]"
    root: httpx.Client
    repositories: Path

    async def reconcile(self, *, force: bool = True) -> None:
        """One look at every repository, now; at those alone that are due where it is not forced."""
        if force:
            await self.owner.execute(
                "UPDATE gitops.repositories SET due_at = now() - interval '1 second', fetch_after = now()"
            )
        reconciler = Reconciler(self.edge)
        await reconciler.turn()
        await reconciler.all_done()

    def bind(self, org: Org, repository: str | Repo) -> dict[str, Any]:
        url = str(repository.folder) if isinstance(repository, Repo) else repository
        return good(self.root.post(f"/organizations/{org.id}/gitops/enable", json={"repository": url}))

    def status(self, org: Org) -> dict[str, Any]:
        return good(self.root.get(f"/organizations/{org.id}/gitops/status"))

    async def value(self, sql: str, *arguments: object) -> Any:
        return await self.owner.fetchval(sql, *arguments)

    async def told(self, org: Org, section: str) -> dict[str, str]:
        """What gateways are told."""
        fields = await self.edge.redis.hgetall(f"{admission.slot(org.tag)}:{section}")
        return {name.decode(): value.decode("utf-8", "replace") for name, value in fields.items()}


@pytest.fixture
async def ground(api: Api, gitops_env: dict[str, str], database_url: str, root: httpx.Client) -> AsyncIterator[Ground]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in gitops_env.items():
            patch.setenv(name, value)
        settings.cache_clear()
        await open_pool(database_url, 12, "tests")
        edge, owner = Edge(gitops_env["IAS_REDIS_URL"]), await asyncpg.connect(database_url)
        try:
            yield Ground(edge, owner, root, Path(gitops_env["IAS_GITOPS_LOCAL"]))
        finally:
            await owner.close()
            await edge.close()
            await close_pool()
    settings.cache_clear()


@pytest.fixture(autouse=True)
async def alone(ground: Ground) -> None:
    """The repositories of other tests are not looked at."""
    await ground.owner.execute("DELETE FROM gitops.bindings; DELETE FROM gitops.repositories")


@pytest.fixture
def repo(ground: Ground, request: pytest.FixtureRequest) -> Repo:
    """A repository of the test's own."""
    return Repo(ground.repositories / f"{request.node.name[:60]}-{id(request)}".replace("[", "-").replace("]", ""))


@pytest.fixture
def org(api: Api, root: httpx.Client) -> Org:
    """An organisation of an admin and two users, which the platform has given some tokens."""
    made = new_org(api, root)
    good(root.patch(f"/organizations/{made.id}/budget", json={"monthly_tokens": 5_000_000}))
    return made

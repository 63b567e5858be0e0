"""`ias-admin model test`: a gateway tries the replicas; what is wrong is told with what to do, and is the exit code."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import msgspec
import pytest

from tests.integration.cli.shell import Shell, overheard, token_of
from tests.integration.identity.conftest import ROOT, environment, good, new_org, running
from tests.integration.identity.conftest import Api as ApiProcess
from tests.product.document import Document
from tests.product.processes import BIN, SECRET, Process
from tests.services import Services, free_port

NOBODY = "0190a3a0-0000-7000-8000-000000000000"


@dataclass
class Place:
    """An api process and a gateway with an engine, which share nothing with other tests."""

    api: ApiProcess
    root: httpx.Client
    gateway: Process
    engine_url: str
    database_url: str
    home: Path

    def shell(self, client: httpx.Client | None = None) -> Shell:
        return Shell(self.home, self.api.url, token_of(client or self.root))

    def model(self, *urls: str, upstream: str = "mock-gpt", context: int = 4096) -> str:
        body = {
            "name": f"model-{uuid4().hex}",
            "upstream_name": upstream,
            "backends": [{"url": url} for url in urls],
            "context_length": context,
            "enabled": False,
        }
        return good(self.root.post("/models", json=body))["id"]


@pytest.fixture(scope="module")
def place(services: Services, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("trial")
    ports = [free_port() for _ in range(3)]
    with services.database(migrated) as database, services.fresh("redis") as redis:
        env = environment(database, redis.url) | {
            "IAS_UPSTREAM_ALLOW": "127.0.0.0/8",
            "IAS_CACHE_SALT_SECRET": SECRET,
            "IAS_GATEWAY_PORT": str(ports[0]),
            "IAS_GATEWAY_METRICS_PORT": str(ports[1]),
            "IAS_GATEWAY_NAME": "the-gateway",
            "IAS_SHED_LAG_MS": "10000",
            "IAS_REDIS_TIMEOUT_MS": "10000",
        }
        engine_url, probe = f"http://127.0.0.1:{ports[2]}", f"http://127.0.0.1:{ports[1]}/health"
        argv = (sys.executable, "-m", "ias.dev.engine", "--port", str(ports[2]), "--max-model-len", "4096")
        engine = Process("engine", argv, env, folder, f"{engine_url}/health")
        gateway = Process("gateway", (str(BIN / "ias-gateway"),), env, folder, probe)
        engine.start()
        try:
            with running(folder, env) as api:
                engine.wait_ready()
                yield Place(api, api.login(ROOT), gateway, engine_url, database, folder)
        finally:
            for process in (gateway, engine):
                process.end()


@pytest.fixture
def serving(place: Place) -> Iterator[Place]:
    """With its gateway."""
    place.gateway.start()
    try:
        place.gateway.wait_ready()
        until_heard(place)
        yield place
    finally:
        place.gateway.end()


def until_heard(place: Place) -> None:
    """The gateway's first sign of life may come a moment after it is ready."""
    model = place.model(place.engine_url)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if place.root.post(f"/models/{model}/test").status_code != 503:
            return
        time.sleep(0.1)
    raise AssertionError("no gateway is heard of")


def test_a_model_that_is_well_ends_with_0_and_tells_what_was_tried(serving: Place) -> None:
    model = serving.model(serving.engine_url)
    with overheard() as answers:
        done = serving.shell().run("model", "test", model)
    assert done.exit_code == 0, done.output
    for what in ("health", "name", "context length", "call", "usage", "cached tokens", "request id"):
        assert what in done.stdout
    assert "the-gateway" in done.stderr
    (answer,) = answers
    document = Document(good(serving.api.anonymous().get("/openapi.json")))
    assert document.check(answer) == ("POST", "/models/{model_id}/test")
    assert answer.json()["replicas"][0]["completion_tokens"] == 1


def test_a_replica_that_is_not_well_ends_with_1_and_is_told_beside_the_others(serving: Place) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    model = serving.model(serving.engine_url, away)
    done = serving.shell().run("model", "test", model, "-o", "json")
    assert done.exit_code == 1
    tested = msgspec.json.decode(done.stdout)
    assert [(replica["url"], replica["ok"]) for replica in tested["replicas"]] == [
        (serving.engine_url, True),
        (away, False),
    ]
    (check,) = tested["replicas"][1]["checks"]
    assert (check["what"], check["state"]) == ("reachable", "wrong")
    assert check["mend"]
    assert "1 of 2 replicas" in done.stderr


def test_a_name_that_no_engine_serves_ends_with_1_and_says_which_there_are(serving: Place) -> None:
    done = serving.shell().run("model", "test", serving.model(serving.engine_url, upstream="other"), "-o", "csv")
    assert done.exit_code == 1
    assert "mock-gpt" in done.stdout
    assert "--served-model-name other" in done.stdout


def test_a_context_that_the_engine_does_not_have_ends_with_1(serving: Place) -> None:
    done = serving.shell().run("model", "test", serving.model(serving.engine_url, context=8192), "-o", "yaml")
    assert done.exit_code == 1
    assert "context_length to 4096" in done.stdout


async def test_a_trial_is_in_no_ledger_and_in_no_audit_log(serving: Place) -> None:
    model = serving.model(serving.engine_url)
    connection = await asyncpg.connect(serving.database_url)
    try:
        before = await connection.fetchval("SELECT count(*) FROM identity.audit_log")
        assert serving.shell().run("model", "test", model).exit_code == 0
        assert await connection.fetchval("SELECT count(*) FROM identity.audit_log") == before
        assert await connection.fetchval("SELECT count(*) FROM billing.ledger_lines") == 0
    finally:
        await connection.close()


def test_without_a_gateway_it_ends_with_9_at_once(place: Place) -> None:
    done = place.shell().run("model", "test", place.model(place.engine_url))
    assert done.exit_code == 9
    assert "no gateway runs" in done.stderr


def test_a_model_that_is_not_there_ends_with_5_and_who_may_not_gets_6(place: Place) -> None:
    org = new_org(place.api, place.root)
    assert place.shell().run("model", "test", NOBODY).exit_code == 5
    for who in (org.admin, org.user):
        assert place.shell(who.client).run("model", "test", place.model(place.engine_url)).exit_code == 6


def test_a_dry_run_asks_nobody(place: Place) -> None:
    with overheard() as answers:
        done = place.shell().run("model", "test", NOBODY, "--dry-run")
    assert (done.exit_code, answers) == (0, [])
    assert f"would send POST /models/{NOBODY}/test" in done.stderr

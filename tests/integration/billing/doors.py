"""The api process for tests of billing's and analytics' doors, and people who use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from ias.contract import admission, keys
from ias.contract.admission import Ask, Command
from ias.db import uuid7
from tests.product.people import Org, Person, new_org, system_admin
from tests.product.processes import BIN, Process, Product
from tests.services import Services, free_port

SECRET = "a secret for tests that is long enough to be taken"


def environment(database_url: str, redis_url: str, amqp_url: str | None = None) -> dict[str, str]:
    """What the processes are told."""
    return {
        "PATH": str(BIN),
        "IAS_DATABASE_URL": database_url,
        "IAS_REDIS_URL": redis_url,
        "IAS_AMQP_URL": amqp_url or "",
        "IAS_JWT_SECRET": SECRET,
        "IAS_BCRYPT_COST": "4",
        "IAS_API_PORT": str(free_port()),
        "IAS_WORKER_PORT": str(free_port()),
    }


@contextmanager
def only(name: str, folder: Path, env: dict[str, str]) -> Iterator[Product]:
    """A product of which only the api, or only the worker, runs."""
    whole = Product(folder, env)
    port = env[f"IAS_{name.upper()}_PORT"]
    process = Process(name, (str(BIN / "ias"), name), env, folder, f"http://127.0.0.1:{port}/ready")
    whole.processes[name] = process
    process.start()
    try:
        process.wait_ready()
        yield whole
    finally:
        process.end()


@pytest.fixture(scope="session")
def api(world: Services, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The api on the shared database and Redis; nobody may break it."""
    with only("api", tmp_path_factory.mktemp("api"), environment(database_url, world.redis_url)) as whole:
        yield whole


@pytest.fixture(scope="session")
def root(api: Product) -> Person:
    """A system admin."""
    return system_admin(api)


@pytest.fixture
def team(root: Person) -> Org:
    """An organisation with an admin and a user."""
    return new_org(root, f"team-{uuid7().hex}")


def model_name() -> str:
    """A name that no model has."""
    return f"model-{uuid7().hex}"


def reserve(tag: str, token: str, model: str, output: int = 100) -> Command:
    """Ask for admission as a gateway does."""
    ask = Ask(model, 10, 1, output, "chat", False)
    return admission.reserve(tag, keys.fingerprint(token), str(uuid7()), ask, ("gateway-1", 30))


def tag_of(token: str) -> str:
    """The organisation's tag in a key."""
    tag = keys.tag_of(token.encode())
    assert tag is not None
    return tag


def problem(answer: httpx.Response, status: int) -> dict[str, object]:
    """The body of an answer that must be this failure."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()

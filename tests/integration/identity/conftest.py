"""The api process on real PostgreSQL and Redis, and people who talk to it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.product import document
from tests.product.processes import BIN, SECRET, Process
from tests.services import Services, free_port

PASSWORD = "Correct-horse-7-battery!"
ROOT = "root@example.org"


@dataclass
class Api:
    """A running api process."""

    process: Process
    env: Mapping[str, str]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.env['IAS_API_PORT']}"

    def command(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run `ias …` or `ias-admin …` to its end."""
        program, *rest = arguments
        return subprocess.run(
            [str(BIN / program), *rest], env=dict(self.env), input=stdin, capture_output=True, text=True, timeout=60
        )

    def anonymous(self) -> httpx.Client:
        # Reading the certificates of this system would cost more than the test; there is no TLS here.
        checked = {"response": [as_documented]}
        return httpx.Client(
            base_url=f"{self.url}/api/v1", timeout=60, trust_env=False, verify=False, event_hooks=checked
        )

    def login(self, email: str, password: str = PASSWORD) -> httpx.Client:
        """A client of somebody who is logged in."""
        client = self.anonymous()
        session = good(client.post("/auth/login", json={"email": email, "password": password}))
        client.headers["authorization"] = f"Bearer {session['access_token']}"
        return client


@dataclass
class Member:
    """Somebody who belongs to an organisation and is logged in."""

    id: str
    email: str
    client: httpx.Client

    def key(self, label: str = "tests") -> dict[str, Any]:
        return good(self.client.post("/api-keys", json={"label": label}))


@dataclass
class Org:
    """An organisation with an admin and two users."""

    id: str
    name: str
    tag: str
    admin: Member
    user: Member
    other: Member


def good(answer: httpx.Response) -> Any:
    """The body of an answer that must be a success."""
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


def as_documented(answer: httpx.Response) -> None:
    """Every answer that a test gets must be one that the OpenAPI document tells of."""
    answer.read()
    document.here().check_answer(answer)


def environment(database_url: str, redis_url: str) -> dict[str, str]:
    passed = {name: value for name, value in os.environ.items() if not name.startswith("IAS_")}
    return passed | {
        "IAS_DATABASE_URL": database_url,
        "IAS_REDIS_URL": redis_url,
        "IAS_JWT_SECRET": SECRET,
        "IAS_BCRYPT_COST": "4",
        "IAS_API_PORT": str(free_port()),
    }


@contextmanager
def running(folder: Path, env: Mapping[str, str]) -> Iterator[Api]:
    """The api process, ready, with a system admin; ended by its pid."""
    api = Api(
        Process("api", (str(BIN / "ias"), "api"), env, folder, f"http://127.0.0.1:{env['IAS_API_PORT']}/ready"), env
    )
    migrated = api.command("ias", "migrate", "up")
    assert migrated.returncode == 0, migrated.stderr
    made = api.command("ias-admin", "bootstrap", "create-super-admin", f"--email={ROOT}", stdin=f"{PASSWORD}\n")
    assert made.returncode in {0, 7}, made.stderr
    api.process.start()
    try:
        api.process.wait_ready()
        yield api
    finally:
        api.process.end()


@pytest.fixture(scope="session")
def migrated(services: Services) -> str:
    """The name of a database template with every migration applied, and the Function library in the shared Redis."""

    def fill(url: str) -> None:
        command = [str(Path(sys.executable).with_name("ias")), "migrate", "up"]
        done = subprocess.run(
            command, env=environment(url, services.redis_url), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    return services.template("identity: all migrations", fill)


@pytest.fixture(scope="session")
def database_url(services: Services, migrated: str) -> Iterator[str]:
    """The database behind `api`, as its owner."""
    with services.database(migrated) as url:
        yield url


@pytest.fixture(scope="session")
def api(services: Services, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """One api process for all tests of this test process; nobody may break it."""
    with running(tmp_path_factory.mktemp("api"), environment(database_url, services.redis_url)) as whole:
        yield whole


@pytest.fixture(scope="session")
def root(api: Api) -> httpx.Client:
    """A system admin."""
    return api.login(ROOT)


def new_member(api: Api, by: httpx.Client, org_id: str, role: str = "org-user") -> Member:
    """Somebody who accepted an invite."""
    email = f"{role}-{uuid4().hex[:8]}@example.org"
    invite = good(by.post("/users/invite", json={"email": email, "role": role, "org_id": org_id}))
    sent = {"token": invite["token"], "name": "Member", "password": PASSWORD}
    made = good(api.anonymous().post("/users/accept-invite", json=sent))
    return Member(made["id"], email, api.login(email))


def new_org(api: Api, root: httpx.Client) -> Org:
    """An organisation of a test's own."""
    made = good(root.post("/organizations", json={"name": f"org {uuid4().hex}"}))
    admin = new_member(api, root, made["id"], "org-admin")
    user, other = (new_member(api, admin.client, made["id"]) for _ in range(2))
    return Org(made["id"], made["name"], made["tag"], admin, user, other)


@pytest.fixture
def org(api: Api, root: httpx.Client) -> Org:
    return new_org(api, root)


@pytest.fixture(scope="session")
def foreign(api: Api, root: httpx.Client) -> Org:
    """Somebody else's organisation; only looked at."""
    return new_org(api, root)

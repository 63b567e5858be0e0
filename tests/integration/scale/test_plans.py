"""No query of the management API reads through a table that grows with the platform."""

import asyncio
import hmac
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest
from litestar.testing import AsyncTestClient

from bench.driving import callers, generic
from bench.managed import COMMIT, URL
from bench.mix import ADMINS, EVERYBODY, MEMBERS, PREFIX, ROUTES, SYSTEM, Asked, Mix, Route
from bench.population import Population, Size, address, imagine
from bench.seeding import PASSWORD, hashed, seed
from ias import settings, web
from tests.integration.identity.conftest import environment
from tests.integration.scale.plans import Recorder, faults
from tests.product.processes import BIN, SECRET
from tests.services import Services

SIZE = Size(organisations=1000, members=20_000, keys=200_000, busy=5, entries=20, events=40_000)
NEW = "Correct-horse-8-battery!"
DRAWS = 5
"""What one has deleted, such as an invite, the next one may ask for by chance."""
MODEL = {
    "name": "{new}",
    "backends": [{"url": "http://93.184.215.14:8000"}],
    "context_length": 8192,
    "max_output_tokens": 1024,
    "input_rate": "1",
    "output_rate": "2",
}
GIT = "/organizations/{org_id}/gitops"
POLICY = "apiVersion: ias.linode.com/v1\nkind: Organization\nmetadata:\n  name: Org {tag}\nspec:\n  budgets:\n"
PROPOSED = {"document": f"{POLICY}    monthly_tokens: 1\n", "org_id": "{org_id}"}
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()

OTHERS = (
    Route("POST", "/organizations", 0, SYSTEM, body={"name": "{new}"}),
    Route("POST", "/organizations/{org_id}/suspend", 0, SYSTEM),
    Route("POST", "/organizations/{org_id}/resume", 0, SYSTEM),
    Route("POST", "/organizations/{org_id}/alerts/{alert_id}/acknowledge", 0, ADMINS),
    Route("PATCH", "/api-keys/{key_id}", 0, MEMBERS, body={"monthly_tokens": 1000}),
    Route("DELETE", "/users/invites/{invite_id}", 0, ADMINS),
    Route("POST", "/users/{user_id}/reset-password", 0, SYSTEM, body={"new_password": NEW}),
    Route("POST", "/models", 0, SYSTEM, body=MODEL),
    Route("PATCH", "/models/{model_id}", 0, SYSTEM, body={"input_rate": "3"}),
    Route("POST", "/models/{model_id}/rates", 0, SYSTEM, body={"input_rate": "3", "output_rate": "4"}),
    Route("PUT", "/me/password", 0, MEMBERS, body={"current_password": PASSWORD, "new_password": NEW}),
    *(Route("POST", f"/gitops/{verb}", 0, ADMINS, body=PROPOSED) for verb in ("plan", "replay")),
    Route("POST", f"{GIT}/sync", 0, ADMINS),
    Route("POST", f"{GIT}/approve", 0, SYSTEM, body={"commit": COMMIT}),
    Route("POST", f"{GIT}/suspend", 0, SYSTEM, body={"reason": "scale", "until": TOMORROW}),
    Route("POST", f"{GIT}/resume", 0, SYSTEM),
    Route("POST", f"{GIT}/enable", 0, SYSTEM, body={"repository": URL.format(0)}),
    Route("POST", f"{GIT}/disable", 0, SYSTEM),
    Route("DELETE", "/users/{user_id}", 0, SYSTEM),
    Route("DELETE", "/organizations/{org_id}", 0, SYSTEM),
    Route("DELETE", "/models/{model_id}", 0, SYSTEM),
    Route("POST", "/auth/logout", 0, EVERYBODY),
)
"""Routes that the mix leaves out; in this order, since some end what others need."""
APART = {
    "POST /auth/login",
    "POST /auth/refresh",
    "DELETE /me/sessions/{}",
    "POST /users/accept-invite",
    "POST /gitops/webhook",
}
"""Asked one after the other, as somebody who logs in or comes from outside."""
UNASKED = {"POST /models/{}/test", "DELETE /models/{}/rates/{}"}
"""They read no more than a model and its rates."""


@pytest.fixture(scope="module")
def people() -> Population:
    """Who there is."""
    return imagine(SIZE)


@pytest.fixture(scope="module")
def told(services: Services, people: Population) -> Iterator[dict[str, str]]:
    """What a process of the product is told; the database is full."""
    with services.database() as url:
        env = environment(url, services.redis_url) | {"IAS_GITOPS_WEBHOOK_SECRET": SECRET}
        migrated = subprocess.run([str(BIN / "ias"), "migrate", "up"], env=env, capture_output=True, text=True)
        assert migrated.returncode == 0, migrated.stderr
        asyncio.run(seed(url, people, SIZE, hashed(4)))
        yield env


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    recorder = Recorder()
    recorder.listen(monkeypatch)
    return recorder


@pytest.fixture
async def client(
    told: dict[str, str], recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the application, which runs in this process."""
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    settings.settings.cache_clear()
    try:
        async with AsyncTestClient(web.app(), base_url=f"http://test.local{PREFIX}", timeout=120) as client:
            yield client
    finally:
        settings.settings.cache_clear()


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore:.*Inferred dependency field:DeprecationWarning")
async def test_every_query_of_every_route_finds_its_rows_by_an_index(
    client: httpx.AsyncClient, recorder: Recorder, people: Population, told: dict[str, str]
) -> None:
    mix = Mix(people, callers(people, SECRET), 1)
    await ask_without_a_token(client, recorder, people, mix)
    for route in (*ROUTES, *OTHERS):
        for role in route.asked_by:
            for query in dict.fromkeys(route.queries):
                recorder.route = f"{route.name}{query} as {role}"
                await ask(client, route, lambda: mix.asked(route, role, query))  # noqa: B023 - called at once
    document = (await client.get("/openapi.json")).json()
    there = {
        f"{method.upper()} {generic(path.removeprefix(PREFIX))}"
        for path, item in document["paths"].items()
        for method in item
    }
    asked = {f"{route.method} {generic(route.path)}" for route in (*ROUTES, *OTHERS)} | APART
    assert there - asked == UNASKED, "neither bench/mix.py nor OTHERS has a row for these"
    wrong = await faults(told["IAS_DATABASE_URL"], recorder.statements)
    assert not wrong, "\n\n".join(wrong)


async def ask(client: httpx.AsyncClient, route: Route, draw: Callable[[], Asked]) -> None:
    """Ask, and read the answer to its end, which must be a success; again, where somebody before took that away."""
    for _ in range(DRAWS):
        asked = draw()
        headers = {"authorization": f"Bearer {asked.token}", "content-type": "application/json"}
        answer = await client.request(route.method, asked.path, content=asked.body, headers=headers)
        if answer.status_code != httpx.codes.NOT_FOUND:
            break
    assert answer.is_success, f"{route.name}: {answer.status_code} {answer.text}"


async def ask_without_a_token(client: httpx.AsyncClient, recorder: Recorder, people: Population, mix: Mix) -> None:
    """What is open to everybody."""
    recorder.route = "POST /auth/login"
    email = address(people.tenants[0].members[0])
    session = await logged_in(client, email)
    recorder.route = "POST /auth/refresh"
    answer = await client.post("/auth/refresh", json={"refresh_token": session["refresh_token"]})
    assert answer.is_success, answer.text
    headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
    recorder.route = "GET /me/sessions"
    sessions = (await client.get("/me/sessions", headers=headers)).json()["items"]
    recorder.route = "DELETE /me/sessions/{}"
    ended = await client.delete(f"/me/sessions/{sessions[0]['id']}", headers=headers)
    assert ended.is_success, ended.text
    headers = {"authorization": f"Bearer {(await logged_in(client, email))['access_token']}"}
    invite = await client.post("/users/invite", json={"email": "new@example.net"}, headers=headers)
    recorder.route = "POST /users/accept-invite"
    sent = {"token": invite.json()["token"], "name": "Grace", "password": PASSWORD}
    answer = await client.post("/users/accept-invite", json=sent)
    assert answer.is_success, answer.text
    recorder.route = "POST /gitops/webhook"
    pushed = msgspec.json.encode({"repository": {"clone_url": URL.format(0)}})
    signed = {"x-hub-signature-256": hmac.new(SECRET.encode(), pushed, "sha256").hexdigest()}
    answer = await client.post("/gitops/webhook", content=pushed, headers=signed)
    assert answer.json() == {"repositories": 1}


async def logged_in(client: httpx.AsyncClient, email: str) -> dict[str, str]:
    """Tokens of a new session."""
    answer = await client.post("/auth/login", json={"email": email, "password": PASSWORD})
    assert answer.is_success, answer.text
    return answer.json()

"""What two do at once to one account: whatever ends a session ends it, and somebody stays who can manage."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest

from tests.integration.identity.conftest import PASSWORD, ROOT, Api, Org, environment, good, running
from tests.services import Services

NEW_PASSWORD = "Another-battery-9-staple"
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@pytest.fixture
async def log(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def until_waiting(connection: asyncpg.Connection, many: int) -> None:
    """So many of the API's transactions wait for a lock."""
    deadline = time.monotonic() + 60
    while await connection.fetchval(_WAITING) < many:
        assert time.monotonic() < deadline, "nobody waits"


async def held_up(log: asyncpg.Connection, org: Org, first: Callable[[], object], second: Callable[[], object]) -> None:
    """Both begin, one after the other, and neither can write its entry and be done before both have begun."""
    with ThreadPoolExecutor(2) as threads:
        async with log.transaction():
            await log.execute("SELECT FROM identity.audit_heads WHERE chain = $1 FOR UPDATE", UUID(org.id))
            begun = [threads.submit(first)]
            await until_waiting(log, 1)
            begun.append(threads.submit(second))
            await until_waiting(log, 2)
        for each in begun:
            each.result()


async def until_blocked(holder: asyncpg.Connection, waiting: int | None = None) -> None:
    """Somebody waits for what the holder has locked; where `waiting` is given, that server process, for anybody."""
    mine = "pg_backend_pid() = ANY(pg_blocking_pids(pid))" if waiting is None else f"pid = {waiting}"
    deadline = time.monotonic() + 60
    while not await holder.fetchval(f"SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND {mine})"):
        assert time.monotonic() < deadline, "nobody waits"
        await asyncio.sleep(0.01)


@pytest.fixture(params=["reset", "suspended", "changed"])
def ending(request: pytest.FixtureRequest, api: Api, root: httpx.Client, org: Org) -> Callable[[], object]:
    """A way to end all sessions of a user but the one that asks for it."""
    other, changed = api.login(org.user.email), {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    ways = {
        "reset": lambda: root.post(f"/users/{org.user.id}/reset-password", json={"new_password": NEW_PASSWORD}),
        "suspended": lambda: org.admin.client.patch(f"/users/{org.user.id}", json={"status": "suspended"}),
        "changed": lambda: other.put("/me/password", json=changed),
    }
    return lambda: good(ways[request.param]())


def begun(api: Api, org: Org) -> str:
    """The refresh token of a new session."""
    sent = {"email": org.user.email, "password": PASSWORD}
    return good(api.anonymous().post("/auth/login", json=sent))["refresh_token"]


def refresh(api: Api, token: str) -> httpx.Response:
    return api.anonymous().post("/auth/refresh", json={"refresh_token": token})


def is_over(api: Api, session: dict[str, str]) -> bool:
    seen = api.anonymous().get("/me", headers={"authorization": f"Bearer {session['access_token']}"})
    return (seen.status_code, refresh(api, session["refresh_token"]).status_code) == (401, 401)


async def test_a_session_that_is_ended_while_it_is_refreshed_is_over(
    api: Api, org: Org, log: asyncpg.Connection, ending: Callable[[], object]
) -> None:
    token, made = begun(api, org), []
    await held_up(log, org, lambda: made.append(good(refresh(api, token))), ending)
    good(org.admin.client.patch(f"/users/{org.user.id}", json={"status": "active"}))
    assert [is_over(api, session) for session in made] == [True]


async def test_a_stolen_token_that_is_used_while_its_successor_is_ends_both(
    api: Api, org: Org, log: asyncpg.Connection
) -> None:
    stolen, made = begun(api, org), []
    first = good(refresh(api, stolen))
    await held_up(
        log,
        org,
        lambda: made.append(good(refresh(api, first["refresh_token"]))),
        lambda: made.append(first) if refresh(api, stolen).status_code == 401 else None,
    )
    assert [is_over(api, session) for session in made] == [True, True]


async def test_who_logs_in_with_a_password_that_is_being_replaced_is_not_let_in(
    api: Api, root: httpx.Client, org: Org, log: asyncpg.Connection
) -> None:
    seen: list[int] = []

    def log_in() -> None:
        sent = {"email": org.user.email, "password": PASSWORD}
        seen.append(api.anonymous().post("/auth/login", json=sent).status_code)

    with ThreadPoolExecutor(1) as threads:
        async with log.transaction():
            await log.execute("SELECT FROM identity.users WHERE id = $1 FOR UPDATE", UUID(org.user.id))
            begun = threads.submit(log_in)  # the password is found right, and then somebody is quicker
            await until_waiting(log, 1)
            await log.execute(
                "UPDATE identity.users SET password_hash = (SELECT password_hash FROM identity.users WHERE id = $2)"
                " || 'x' WHERE id = $1",
                UUID(org.user.id),
                UUID(org.other.id),
            )
        begun.result()
    assert seen == [401]


async def test_a_password_that_is_reset_while_its_owner_changes_it_stays_as_it_was_reset(
    api: Api, org: Org, log: asyncpg.Connection
) -> None:
    seen: list[int] = []

    def change() -> None:
        sent = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
        seen.append(org.user.client.put("/me/password", json=sent).status_code)

    with ThreadPoolExecutor(1) as threads:
        async with log.transaction():
            await log.execute("SELECT FROM identity.users WHERE id = $1 FOR UPDATE", UUID(org.user.id))
            begun = threads.submit(change)  # the password is found right, and then somebody is quicker
            await until_waiting(log, 1)
            reset = await log.fetchval(
                "UPDATE identity.users SET password_hash = password_hash || 'x' WHERE id = $1 RETURNING password_hash",
                UUID(org.user.id),
            )
        begun.result()
    assert seen == [401]
    assert await log.fetchval("SELECT password_hash FROM identity.users WHERE id = $1", UUID(org.user.id)) == reset


async def test_an_organisation_is_removed_while_somebody_joins_it_and_nobody_is_left_in_it(
    api: Api, root: httpx.Client, org: Org, log: asyncpg.Connection
) -> None:
    email = f"{uuid4().hex}@example.org"
    invite = good(org.admin.client.post("/users/invite", json={"email": email}))
    sent = {"token": invite["token"], "name": "Ada", "password": PASSWORD}
    codes: list[int] = []
    await held_up(
        log,
        org,
        lambda: codes.append(root.delete(f"/organizations/{org.id}").status_code),
        lambda: codes.append(api.anonymous().post("/users/accept-invite", json=sent).status_code),
    )
    assert sorted(codes) == [204, 410]
    assert (
        await log.fetchval("SELECT count(*) FROM identity.users WHERE email = $1 AND status <> 'removed'", email) == 0
    )


@pytest.fixture(params=["issued", "rotated", "issued too late"])
def last_minute(
    request: pytest.FixtureRequest, root: httpx.Client, org: Org
) -> tuple[Callable[[], object], Callable[[], object]]:
    """A member gets a key, and is removed."""
    path = "/api-keys" if "issued" in request.param else f"/api-keys/{org.user.key()['id']}/rotate"
    asked = {"label": "last minute"} if "issued" in request.param else {}

    def issue() -> None:
        assert org.user.client.post(path, json=asked).status_code == (401 if "late" in request.param else 201)

    def remove() -> None:
        good(root.delete(f"/users/{org.user.id}"))

    return (remove, issue) if "late" in request.param else (issue, remove)


async def test_no_key_of_somebody_who_is_removed_meanwhile_stays(
    org: Org, log: asyncpg.Connection, last_minute: tuple[Callable[[], object], Callable[[], object]]
) -> None:
    await held_up(log, org, *last_minute)
    live = "SELECT count(*) FROM identity.api_keys WHERE user_id = $1 AND revoked_at IS NULL"
    assert await log.fetchval(live, UUID(org.user.id)) == 0


@pytest.fixture(params=["member changed", "member invited", "invite accepted", "organisation renamed"])
def holding(request: pytest.FixtureRequest, api: Api, root: httpx.Client, org: Org) -> Callable[[], object]:
    """A way to change people or what they belong to, which lets no other such change happen meanwhile."""
    new = {"email": f"{uuid4().hex}@example.org"}
    token = good(org.admin.client.post("/users/invite", json=new))["token"]
    joining = {"token": token, "name": "Ada", "password": PASSWORD}
    ways = {
        "member changed": lambda: org.admin.client.patch(f"/users/{org.user.id}", json={"name": "Ada"}),
        "member invited": lambda: org.admin.client.post("/users/invite", json=new),
        "invite accepted": lambda: api.anonymous().post("/users/accept-invite", json=joining),
        "organisation renamed": lambda: root.patch(f"/organizations/{org.id}", json={"name": f"new {org.name}"}),
    }
    return lambda: good(ways[request.param]())


async def test_who_has_an_organisation_for_its_people_is_not_in_the_way_of_who_changes_its_budget(
    org: Org, log: asyncpg.Connection, holding: Callable[[], object]
) -> None:
    with ThreadPoolExecutor(1) as threads:
        async with log.transaction():
            await log.execute("SELECT FROM identity.audit_heads WHERE chain = $1 FOR UPDATE", UUID(org.id))
            begun = threads.submit(holding)
            await until_blocked(log)
            # A debt and a budget refer to the organisation: were this to wait, each would wait for the other.
            await log.execute("SELECT FROM identity.organizations WHERE id = $1 FOR KEY SHARE NOWAIT", UUID(org.id))
        begun.result()


async def test_who_is_turned_back_as_two_wait_for_each_other_is_told_to_come_again(
    org: Org, log: asyncpg.Connection, database_url: str
) -> None:
    path, person = f"/users/{org.user.id}", await asyncpg.connect(database_url)
    with ThreadPoolExecutor(1) as threads:
        async with log.transaction():
            await log.execute("SET LOCAL deadlock_timeout = '1h'")  # it is the api that is turned back
            await log.execute("SELECT FROM identity.audit_heads WHERE chain = $1 FOR UPDATE", UUID(org.id))
            async with person.transaction():
                await person.execute("SELECT FROM identity.users WHERE id = $1 FOR UPDATE", UUID(org.user.id))
                begun = threads.submit(org.admin.client.patch, path, json={"name": "Ada"})
                await until_blocked(person)
                pid, held = log.get_server_pid(), "SELECT FROM identity.organizations WHERE id = $1 FOR UPDATE"
                crossing = asyncio.create_task(log.execute(held, UUID(org.id)))
                await until_blocked(person, pid)
            await crossing
        answer = begun.result()
    await person.close()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "at the same moment" in answer.json()["detail"]
    good(org.admin.client.patch(path, json={"name": "Ada"}))


@pytest.fixture
def lonely(services: Services, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An api whose system admins are this test's own."""
    with (
        services.database(migrated) as url,
        running(tmp_path_factory.mktemp("lonely"), environment(url, services.redis_url)) as api,
    ):
        yield api


def test_the_last_two_system_admins_cannot_remove_or_suspend_each_other(lonely: Api) -> None:
    made = lonely.command(
        "ias-admin", "bootstrap", "create-super-admin", "--email=second@example.org", stdin=f"{PASSWORD}\n"
    )
    assert made.returncode == 0, made.stderr
    clients = [lonely.login(ROOT), lonely.login("second@example.org")]
    ids = [good(client.get("/me"))["id"] for client in clients]
    with ThreadPoolExecutor(2) as threads:
        codes = list(
            threads.map(
                lambda at: clients[at].patch(f"/users/{ids[1 - at]}", json={"status": "suspended"}).status_code, (0, 1)
            )
        )
    assert sorted(codes) in ([200, 401], [200, 409])
    assert [client.get("/me").status_code for client in clients].count(200) == 1

"""Bad input, row by row, wherever there is a door for it; docs/bad-input.md says which test is of which row."""

import time
from collections.abc import Callable
from itertools import product
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import pytest

from tests.integration.identity.conftest import PASSWORD, Api, Org, good, new_org
from tests.integration.identity.routes import Routes, asked, routes_of, things_of

JUNK = ("%%%%", "\0", "'; DROP TABLE identity.users; --", '"', "\\", "*", "\u202e", "<script>", "=1+1", "x" * 10_240)
LONG_ENOUGH = "Ça-1-Été-naïve-Façade-Noël-Où-Çà-Crème-Brûlée-Forêt-Île-7"
"""With letters of two bytes; what is missing of 72 bytes is filled in."""


@pytest.fixture(scope="module")
def documented(api: Api) -> Routes:
    return routes_of(api)


def lists(documented: Routes, parameter: str) -> list[str]:
    """The paths of every route that can be asked for by a parameter."""
    return [
        path for (method, path), operation in documented.items() if method == "GET" and parameter in asked(operation)
    ]


@pytest.fixture(scope="module")
def ids(api: Api, root: httpx.Client, asking: Org) -> dict[str, str]:
    """What the paths name: things of the organisation that asks."""
    model = {"name": f"m-{uuid4().hex}", "backends": [{"url": "http://llama.example.org:8000"}]}
    return things_of(asking) | {"model_id": good(root.post("/models", json=model))["id"]}


@pytest.fixture(scope="module")
def asking(api: Api, root: httpx.Client) -> Org:
    """An organisation whose lists are asked for."""
    return new_org(api, root)


BOTH = {(400, 400), (400, 403)}
"""How a system admin and an org admin are refused: what is only for the platform is refused to the latter anyway."""


def refusals(asking: Org, root: httpx.Client, path: str, **query: str) -> set[tuple[int, int]]:
    answers = [client.get(path, params=query) for client in (root, asking.admin.client)]
    assert all(answer.json()["errors"] for answer in answers if answer.status_code == 400)
    return {(answers[0].status_code, answers[1].status_code)}


# `role`, `org_id`, `is_admin` in a self-PATCH; an org admin who grants what nobody gave them.


@pytest.mark.parametrize("field", ["role", "org_id", "is_admin", "email", "status", "permissions", "password_hash"])
def test_a_self_patch_of_more_than_the_name_is_a_400(org: Org, root: httpx.Client, field: str) -> None:
    for client in (org.user.client, org.admin.client, root):
        before = good(client.get("/me"))
        assert client.patch("/me", json={"name": "Ada", field: "system-admin"}).status_code == 400
        assert good(client.get("/me")) == before


@pytest.mark.parametrize("field", ["org_id", "is_admin", "email", "permissions", "id"])
def test_a_member_is_not_moved_or_raised_by_fields_that_there_are_not(org: Org, foreign: Org, field: str) -> None:
    answer = org.admin.client.patch(f"/users/{org.user.id}", json={"role": "org-user", field: foreign.id})
    assert answer.status_code == 400
    assert answer.json()["errors"]


def test_an_org_admin_who_grants_system_admin_is_refused_with_403(org: Org) -> None:
    for sent in ({"role": "system-admin"}, {"role": "system-admin", "name": "Eve"}):
        assert org.admin.client.patch(f"/users/{org.user.id}", json=sent).status_code == 403
        assert org.admin.client.patch(f"/users/{org.admin.id}", json=sent).status_code == 403
    invite = {"email": "eve@example.org", "role": "system-admin"}
    assert org.admin.client.post("/users/invite", json=invite).status_code == 403


def test_an_org_admin_who_grants_more_than_the_platform_gave_is_refused_with_403(org: Org, root: httpx.Client) -> None:
    where = f"/organizations/{org.id}"
    good(root.patch(f"{where}/budget", json={"monthly_tokens": 1000}))
    good(root.put(f"{where}/limits", json={"requests_per_second": 5, "burst": 5}))
    good(root.put(f"{where}/allowed-models", json={"models": []}))
    admin = org.admin.client
    assert admin.patch(f"{where}/budget", json={"monthly_tokens": 1001}).status_code == 403
    assert admin.patch(f"{where}/budget", json={"monthly_tokens": None}).status_code == 403
    assert admin.put(f"{where}/limits", json={"requests_per_second": 6, "burst": 6}).status_code == 403
    assert admin.put(f"{where}/allowed-models", json={"models": None}).status_code == 403


# Filters, cursors, limits, orders.


def test_a_filter_is_taken_literally_or_refused_on_every_list(
    asking: Org, root: httpx.Client, ids: dict[str, str], documented: Routes
) -> None:
    wrong, tried = {}, 0
    for (method, path), operation in documented.items():
        for name in asked(operation).keys() - {"limit", "cursor"} if method == "GET" else ():
            for client, junk in (*product((asking.admin.client,), JUNK), *product((root,), JUNK[:2])):
                answer, tried = client.get(path.format(**ids), params={name: junk}), tried + 1
                allowed = {200, 400} if client is root else {200, 400, 403}
                if answer.status_code not in allowed or items(answer):
                    wrong[f"{path}?{name}={junk[:20]!r}"] = f"{answer.status_code} {answer.text[:200]}"
    assert wrong == {}
    assert tried > 100


def items(answer: httpx.Response) -> object:
    """What a list has found."""
    json = answer.headers["content-type"] == "application/json"
    return (
        answer.json().get("items") if json and answer.status_code == 200 else answer.status_code == 200 and answer.text
    )


@pytest.mark.parametrize("limit", ["-1", "0", "201", "1000000000", "1.5", "", "all", "9" * 400])
def test_a_limit_that_cannot_be_is_a_400_on_every_list(
    asking: Org, root: httpx.Client, ids: dict[str, str], documented: Routes, limit: str
) -> None:
    paths = lists(documented, "limit")
    assert len(paths) >= 8
    for path in paths:
        assert refusals(asking, root, path.format(**ids), limit=limit) <= BOTH, path


@pytest.mark.parametrize(
    "cursor",
    [
        *("", "x", "zz==", "\0", "' OR 1=1 --", "x" * 10_240, "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAA\n"),
        *("AAAAAAAAAAAAAAAAAAAAAB", "0190a3a0-0000-7000-8000-000000000000", "AAAAAAAAAAAAAAAAAAAAAA,1", "ÿ" * 22),
    ],
)
def test_a_forged_cursor_is_a_400_on_every_list(
    asking: Org, root: httpx.Client, ids: dict[str, str], documented: Routes, cursor: str
) -> None:
    paths = lists(documented, "cursor")
    assert len(paths) >= 8
    for path in paths:
        assert refusals(asking, root, path.format(**ids), cursor=cursor) <= BOTH, path


def test_a_cursor_of_another_organisation_leads_to_nothing_of_it(org: Org, foreign: Org) -> None:
    for _ in range(2):
        foreign.user.key()
    theirs = good(foreign.user.client.get("/api-keys", params={"limit": "1"}))["next_cursor"]
    mine = org.user.key()["id"]
    seen = [key["id"] for key in good(org.user.client.get("/api-keys", params={"cursor": theirs}))["items"]]
    assert set(seen) <= {mine}


@pytest.mark.parametrize("query", ["sort=name", "order_by=id;DROP TABLE x", "sort[]=1", "where=1=1", "Limit=5"])
def test_an_order_or_anything_else_that_the_document_does_not_know_is_a_400_on_every_route(
    asking: Org, root: httpx.Client, ids: dict[str, str], documented: Routes, query: str
) -> None:
    name, _, value = query.partition("=")
    for method, path in documented:
        if method == "GET":
            assert refusals(asking, root, path.format(**ids), **{name: value}) <= BOTH, path


# Backends and budgets.


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://169.254.169.254/",
            "http://[fe80::1]:8000",
            "http://metadata.google.internal",
            "http://127.0.0.1:8000",
        ),
        *("http://engine:5432", "http://engine:6379", "http://engine:5672", "file:///etc/passwd", "gopher://engine:70"),
        *("http://admin@engine:8000", "http://engine:8000@evil.example", "http://engine/redirect?to=http://x"),
        *("http://engine\r\nHost: x", "//engine:8000", "http://0177.0.0.1", "x" * 10_240),
    ],
)
def test_a_backend_that_is_no_engine_is_a_400(root: httpx.Client, url: str) -> None:
    answer = root.post("/models", json={"name": f"m-{uuid4().hex}", "backends": [{"url": url}]})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == "/backends/0/url"


@pytest.mark.parametrize("tokens", [-1, 2**63, 2**63 - 1, 2**53, 1.5, 10**400, "10", True, [], {"$gt": 0}])
def test_a_budget_that_cannot_be_counted_is_a_400(org: Org, root: httpx.Client, tokens: Any) -> None:
    where = f"/organizations/{org.id}"
    body = {"content-type": "application/json"}
    for method, path, name in (
        ("PATCH", f"{where}/budget", "monthly_tokens"),
        ("PATCH", f"{where}/budget", "user_monthly_tokens"),
        ("PUT", f"{where}/users/{org.user.id}/budget", "monthly_tokens"),
        ("PUT", f"{where}/limits", "tokens_per_minute"),
    ):
        said = str(tokens) if isinstance(tokens, int) and tokens > 2**64 else msgspec.json.encode(tokens).decode()
        answer = root.request(method, path, content=f'{{"{name}": {said}}}', headers=body)
        assert answer.status_code == 400, f"{path} {name}: {answer.text}"


# Passwords.


def of_bytes(count: int) -> str:
    """A strong password of so many bytes."""
    return LONG_ENOUGH + "x" * (count - len(LONG_ENOUGH.encode()))


@pytest.fixture
def ways_to_set_a_password(api: Api, org: Org, root: httpx.Client) -> list[Callable[[str], httpx.Response]]:
    """Every door that takes a new one."""
    token = good(org.admin.client.post("/users/invite", json={"email": f"{uuid4().hex}@example.org"}))["token"]
    return [
        lambda new: api.anonymous().post("/users/accept-invite", json={"token": token, "name": "Ada", "password": new}),
        lambda new: org.user.client.put("/me/password", json={"current_password": PASSWORD, "new_password": new}),
        lambda new: root.post(f"/users/{org.other.id}/reset-password", json={"new_password": new}),
    ]


@pytest.mark.parametrize(
    "bad",
    [of_bytes(73), "Aa1!" + "é" * 35, of_bytes(60) + "\0", "\0" * 12, "Aa1!" * 250_000, "Aa1!Aa1!Aa1", "Password123!"],
    ids=["73 bytes", "73 bytes of 39 characters", "NUL at the end", "NULs", "1 MB", "11 characters", "guessed at once"],
)
def test_a_password_that_cannot_be_taken_is_a_400_that_says_why_and_does_not_repeat_it(
    ways_to_set_a_password: list[Callable[[str], httpx.Response]], bad: str
) -> None:
    for way in ways_to_set_a_password:
        answer = way(bad)
        assert answer.status_code == 400
        assert all(error["detail"] for error in answer.json()["errors"])
        assert bad not in answer.text


def test_a_password_of_72_bytes_with_letters_of_two_is_taken_and_every_byte_of_it_counts(
    api: Api, org: Org, ways_to_set_a_password: list[Callable[[str], httpx.Response]]
) -> None:
    assert len(of_bytes(72).encode()) == 72 > len(of_bytes(72))
    for way in ways_to_set_a_password:
        assert way(of_bytes(72)).is_success
    right = api.anonymous().post("/auth/login", json={"email": org.user.email, "password": of_bytes(72)})
    assert right.status_code == 200
    for wrong in (of_bytes(71), of_bytes(73), of_bytes(71) + "y"):
        sent = {"email": org.user.email, "password": wrong}
        assert api.anonymous().post("/auth/login", json=sent).status_code == 401


@pytest.mark.parametrize("odd", ["é" * 36, of_bytes(73), "\0", "x" * 1_000_000], ids=["36 × é", "73", "NUL", "1 MB"])
def test_an_odd_password_at_login_is_wrong_as_any_other(api: Api, org: Org, odd: str) -> None:
    assert api.anonymous().post("/auth/login", json={"email": org.user.email, "password": odd}).status_code == 401


# Addresses and names.


@pytest.mark.parametrize(
    "twin",
    [
        str.upper,
        str.title,
        lambda address: address.replace("e", "\uff45"),
        lambda address: f" {address} ",
        lambda address: address.replace("example", "exam\u00adple").replace("\u00ad", ""),
    ],
    ids=["upper", "title", "full width", "space around", "same"],
)
def test_a_twin_of_an_address_in_case_or_unicode_is_a_409(org: Org, foreign: Org, twin: Callable[[str], str]) -> None:
    for known in (org.user.email, foreign.user.email):
        assert org.admin.client.post("/users/invite", json={"email": twin(known)}).status_code == 409


@pytest.mark.parametrize("mark", ["\u202e", "\u200b", "\ufe0f", "\u00ad", "\0", "\r\n", "\u3164"])
def test_an_address_with_something_unseen_in_it_is_a_400(org: Org, mark: str) -> None:
    sent = {"email": org.user.email.replace("@", f"{mark}@")}
    assert org.admin.client.post("/users/invite", json=sent).status_code == 400


@pytest.fixture
def ways_to_name(api: Api, org: Org, root: httpx.Client) -> list[Callable[[str], httpx.Response]]:
    """Every door that takes a name which people choose freely."""
    token = good(org.admin.client.post("/users/invite", json={"email": f"{uuid4().hex}@example.org"}))["token"]
    sent = {"token": token, "password": PASSWORD}
    return [
        lambda name: root.post("/organizations", json={"name": name}),
        lambda name: root.patch(f"/organizations/{org.id}", json={"name": name}),
        lambda name: org.user.client.patch("/me", json={"name": name}),
        lambda name: org.admin.client.patch(f"/users/{org.other.id}", json={"name": name}),
        lambda name: org.user.client.post("/api-keys", json={"label": name}),
        lambda name: api.anonymous().post("/users/accept-invite", json=sent | {"name": name}),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "a\r\nb",
        "a\nb",
        "a\0b",
        "a\x1b[2Jb",
        "a\u202eb",
        "a\u2066b",
        "a\u200fb",
        "a\u2028b",
        "\u3164",
        "x" * 10_240,
    ],
)
def test_a_name_that_would_break_a_line_or_turn_the_writing_or_never_ends_is_a_400(
    ways_to_name: list[Callable[[str], httpx.Response]], name: str
) -> None:
    for way in ways_to_name:
        answer = way(name)
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["pointer"] in {"/name", "/label"}
        assert len(answer.text) < 2_000, "what was sent is not sent back"


def test_markup_in_a_name_is_text_and_comes_back_as_json_alone(
    org: Org, ways_to_name: list[Callable[[str], httpx.Response]]
) -> None:
    name = f"<script>alert('{org.tag}')</script>"
    for way in ways_to_name[2:]:
        answer = way(name)
        assert answer.is_success, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert name in answer.json().values()
    refused = org.admin.client.get(f"/users/{name}")
    assert (refused.status_code, refused.headers["content-type"]) == (404, "application/problem+json")


def logged(api: Api, mark: str) -> list[bytes]:
    """The log's lines with a mark; a request's is written after its answer is sent."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        lines = [line for line in api.process.log.read_bytes().splitlines() if mark.encode() in line]
        if lines:
            return lines
        time.sleep(0.02)
    raise AssertionError("the log says nothing of it")


@pytest.mark.parametrize(
    "path", ["/me%0d%0aX-Evil:%201", "/users/%0a{}%0a", "/%00", "/users/%1b[2J%e2%80%ae", "/" + "x" * 9_000]
)
def test_a_request_is_one_line_in_the_log_whatever_is_in_it(api: Api, path: str) -> None:
    mark = uuid4().hex
    answer = api.anonymous().get(path, headers={"x-request-id": mark, "user-agent": "a\tb", "x-ias-source": "x\ty"})
    assert answer.status_code in {400, 401, 404}
    after = uuid4().hex
    api.anonymous().get("/me", headers={"x-request-id": after})
    logged(api, mark)
    logged(api, after)  # so that a second line of the first would be there too
    lines = logged(api, mark)
    assert [msgspec.json.decode(line)["status"] for line in lines] == [answer.status_code]
    assert min(lines[0]) >= ord(" ")


def test_no_query_takes_longer_than_the_statement_timeout(api: Api) -> None:
    """Whatever a filter asks for: PostgreSQL ends it, and the answer is a 503."""
    done = api.command("python", "-c", _TIMEOUTS)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["30s", "ias_app", "off", "cancelled"]


_TIMEOUTS = """
import asyncio, asyncpg
from ias.db import EVERYWHERE, close_pool, open_pool, transaction
from ias.settings import settings

async def main():
    await open_pool(settings().database_url, 2, "tests")
    async with transaction(EVERYWHERE) as connection:
        print(await connection.fetchval("SHOW statement_timeout"), await connection.fetchval("SELECT current_user"))
        print(await connection.fetchval("SHOW jit"))
    try:
        async with transaction(EVERYWHERE) as connection:
            await connection.execute("SET LOCAL statement_timeout = 50")
            await connection.execute("SELECT pg_sleep(60)")
    except asyncpg.QueryCanceledError:
        print("cancelled")
    await close_pool()

asyncio.run(main())
"""

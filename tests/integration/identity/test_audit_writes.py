"""Each route that writes leaves one entry of what was and what is, without a secret. A new one needs a row."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import msgspec
import pytest

from tests.integration.identity.conftest import PASSWORD, Api, good, new_member, new_org
from tests.integration.identity.routes import routes_of

NEW_PASSWORD = "Another-battery-9-staple"
BACKEND = {"url": "http://llama.example.org:8000"}
MADE, CHANGED, ENDED = (False, True), (True, True), (True, False)
"""Whether an entry has `before`, and whether it has `after`."""

Write = tuple[httpx.Client, str, object]
"""Who sends what to which path."""


class Place:
    """An organisation, and fresh things in it to be changed."""

    def __init__(self, api: Api, root: httpx.Client, alert: str, database_url: str) -> None:
        self.api, self.root, self.org, self.alert = api, root, new_org(api, root), alert
        self.database_url = database_url
        self.admin, self.user = self.org.admin.client, self.org.user.client
        self.where = f"/organizations/{self.org.id}"

    def spare(self) -> str:
        return new_member(self.api, self.admin, self.org.id).id

    def invite(self) -> Any:
        return good(self.admin.post("/users/invite", json={"email": f"{uuid4().hex}@example.org"}))

    def model(self) -> str:
        return good(self.root.post("/models", json={"name": f"m-{uuid4().hex}", "backends": [BACKEND]}))["id"]

    def rate(self) -> str:
        rate = {"input_rate": "1", "output_rate": "1", "valid_from": "2100-01-01T00:00:00Z"}
        model = self.model()
        return f"{model}/rates/{good(self.root.post(f'/models/{model}/rates', json=rate))['id']}"

    def other_org(self, status: str = "resume") -> str:
        made = good(self.root.post("/organizations", json={"name": f"org {uuid4().hex}"}))
        good(self.root.post(f"/organizations/{made['id']}/{status}"))
        return made["id"]

    def hold(self, org_id: str) -> None:
        """As a worker holds a commit that would remove every admin."""
        asyncio.run(self._hold(org_id))

    async def _hold(self, org_id: str) -> None:
        connection = await asyncpg.connect(self.database_url)
        held = "UPDATE gitops.bindings SET state = 'held', commit_seen = $2 WHERE org_id = $1"
        await connection.execute(held, org_id, "0" * 40)
        await connection.close()

    def bound(self, verb: str) -> str:
        """An organisation that is managed by Git as far as is needed for a verb."""
        org_id = self.other_org()
        where, until = f"/organizations/{org_id}/gitops", (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        if verb != "enable":
            good(self.root.post(f"{where}/enable", json={"repository": "https://git.example.org/policies.git"}))
        if verb == "resume":
            good(self.root.post(f"{where}/suspend", json={"until": until, "reason": "an emergency"}))
        if verb == "approve":
            self.hold(org_id)
        return org_id

    def session(self) -> Any:
        sent = {"email": self.org.other.email, "password": PASSWORD}
        return good(self.api.anonymous().post("/auth/login", json=sent))


def _acceptance(place: Place) -> object:
    return {"token": place.invite()["token"], "name": "Ada", "password": PASSWORD}


def _session_begun_by(place: Place) -> str:
    """A further session of the organisation's user."""
    place.api.login(place.org.user.email)
    sessions = good(place.user.get("/me/sessions"))["items"]
    return next(session["id"] for session in sessions if not session["current"])


def _new_rate() -> object:
    return {"input_rate": "1", "output_rate": "2", "valid_from": "2100-01-01T00:00:00Z"}


WRITES: dict[tuple[str, str], tuple[tuple[bool, bool], Callable[[Place], Write]]] = {
    ("POST", "/api-keys"): (MADE, lambda at: (at.user, "/api-keys", {"label": "x"})),
    ("PATCH", "/api-keys/{key_id}"): (
        CHANGED,
        lambda at: (at.user, f"/api-keys/{at.org.user.key()['id']}", {"monthly_tokens": 7}),
    ),
    ("DELETE", "/api-keys/{key_id}"): (ENDED, lambda at: (at.user, f"/api-keys/{at.org.user.key()['id']}", None)),
    ("POST", "/api-keys/{key_id}/rotate"): (
        CHANGED,
        lambda at: (at.user, f"/api-keys/{at.org.user.key()['id']}/rotate", {}),
    ),
    ("POST", "/auth/login"): (
        MADE,
        lambda at: (at.api.anonymous(), "/auth/login", {"email": at.org.other.email, "password": PASSWORD}),
    ),
    ("POST", "/auth/refresh"): (
        CHANGED,
        lambda at: (at.api.anonymous(), "/auth/refresh", {"refresh_token": at.session()["refresh_token"]}),
    ),
    ("POST", "/auth/logout"): (CHANGED, lambda at: (at.api.login(at.org.other.email), "/auth/logout", None)),
    ("PATCH", "/me"): (CHANGED, lambda at: (at.user, "/me", {"name": "Ada"})),
    ("DELETE", "/me/sessions/{session_id}"): (
        CHANGED,
        lambda at: (at.user, f"/me/sessions/{_session_begun_by(at)}", None),
    ),
    ("PUT", "/me/password"): (
        CHANGED,
        lambda at: (
            new_member(at.api, at.admin, at.org.id).client,
            "/me/password",
            {"current_password": PASSWORD, "new_password": NEW_PASSWORD},
        ),
    ),
    ("POST", "/models"): (MADE, lambda at: (at.root, "/models", {"name": f"m-{uuid4().hex}", "backends": [BACKEND]})),
    ("PATCH", "/models/{model_id}"): (CHANGED, lambda at: (at.root, f"/models/{at.model()}", {"enabled": False})),
    ("DELETE", "/models/{model_id}"): (ENDED, lambda at: (at.root, f"/models/{at.model()}", None)),
    ("POST", "/models/{model_id}/rates"): (MADE, lambda at: (at.root, f"/models/{at.model()}/rates", _new_rate())),
    ("DELETE", "/models/{model_id}/rates/{rate_id}"): (ENDED, lambda at: (at.root, f"/models/{at.rate()}", None)),
    ("POST", "/organizations"): (MADE, lambda at: (at.root, "/organizations", {"name": f"org {uuid4().hex}"})),
    ("PATCH", "/organizations/{org_id}"): (CHANGED, lambda at: (at.root, at.where, {"name": f"org {uuid4().hex}"})),
    ("DELETE", "/organizations/{org_id}"): (ENDED, lambda at: (at.root, f"/organizations/{at.other_org()}", None)),
    ("POST", "/organizations/{org_id}/suspend"): (
        CHANGED,
        lambda at: (at.root, f"/organizations/{at.other_org()}/suspend", None),
    ),
    ("POST", "/organizations/{org_id}/resume"): (
        CHANGED,
        lambda at: (at.root, f"/organizations/{at.other_org('suspend')}/resume", None),
    ),
    ("PUT", "/organizations/{org_id}/alert-thresholds"): (
        CHANGED,
        lambda at: (at.admin, f"{at.where}/alert-thresholds", {"thresholds": [7]}),
    ),
    ("POST", "/organizations/{org_id}/alerts/{alert_id}/acknowledge"): (
        CHANGED,
        lambda at: (at.admin, f"{at.where}/alerts/{at.alert}/acknowledge", None),
    ),
    ("PUT", "/organizations/{org_id}/allowed-models"): (
        CHANGED,
        lambda at: (at.admin, f"{at.where}/allowed-models", {"models": []}),
    ),
    ("PATCH", "/organizations/{org_id}/budget"): (
        CHANGED,
        lambda at: (at.admin, f"{at.where}/budget", {"monthly_tokens": 9}),
    ),
    ("PUT", "/organizations/{org_id}/limits"): (
        CHANGED,
        lambda at: (at.admin, f"{at.where}/limits", {"requests_per_second": 1, "burst": 1}),
    ),
    ("PUT", "/organizations/{org_id}/users/{user_id}/budget"): (
        CHANGED,
        lambda at: (at.admin, f"{at.where}/users/{at.org.user.id}/budget", {"monthly_tokens": 9}),
    ),
    ("POST", "/users/accept-invite"): (
        MADE,
        lambda at: (at.api.anonymous(), "/users/accept-invite", _acceptance(at)),
    ),
    ("POST", "/users/invite"): (MADE, lambda at: (at.admin, "/users/invite", {"email": f"{uuid4().hex}@example.org"})),
    ("DELETE", "/users/invites/{invite_id}"): (
        ENDED,
        lambda at: (at.admin, f"/users/invites/{at.invite()['id']}", None),
    ),
    ("PATCH", "/users/{user_id}"): (CHANGED, lambda at: (at.admin, f"/users/{at.spare()}", {"role": "org-admin"})),
    ("DELETE", "/users/{user_id}"): (ENDED, lambda at: (at.admin, f"/users/{at.spare()}", None)),
    ("POST", "/users/{user_id}/reset-password"): (
        CHANGED,
        lambda at: (at.root, f"/users/{at.spare()}/reset-password", {"new_password": NEW_PASSWORD}),
    ),
}
WRITES |= {
    ("POST", f"/organizations/{{org_id}}/gitops/{verb}"): (
        shape,
        lambda at, verb=verb, body=body: (at.root, f"/organizations/{at.bound(verb)}/gitops/{verb}", body),
    )
    for verb, shape, body in (
        ("enable", MADE, {"repository": "https://git.example.org/policies.git"}),
        ("disable", ENDED, None),
        ("suspend", CHANGED, {"until": (datetime.now(UTC) + timedelta(hours=1)).isoformat(), "reason": "an emergency"}),
        ("resume", CHANGED, None),
        ("approve", CHANGED, {"commit": "0" * 40}),
    )
}
WRITES_NOTHING = {
    ("POST", "/gitops/plan"),
    ("POST", "/gitops/replay"),
    ("POST", "/gitops/webhook"),
    ("POST", "/models/{model_id}/test"),
    ("POST", "/organizations/{org_id}/gitops/sync"),
}
"""Routes that are no GET and change nothing all the same."""


@pytest.fixture(scope="module")
async def log(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The database, as somebody who sees every entry."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture(scope="module")
async def place(api: Api, root: httpx.Client, log: asyncpg.Connection, database_url: str) -> Place:
    alert = str(uuid4())
    made = Place(api, root, alert, database_url)
    await log.execute(
        "INSERT INTO billing.alerts (id, org_id, period, threshold, limit_tokens, used_tokens, refused)"
        " VALUES ($1, $2, '202601', 50, 100, 50, false)",
        alert,
        made.org.id,
    )
    return made


def test_every_route_that_writes_has_a_row(api: Api) -> None:
    writing = {route for route in routes_of(api) if route[0] != "GET"}
    assert set(WRITES) | WRITES_NOTHING == writing


@pytest.mark.parametrize("route", WRITES, ids=" ".join)
async def test_a_write_leaves_one_entry_of_what_was_and_what_is(
    place: Place, log: asyncpg.Connection, route: tuple[str, str]
) -> None:
    shape, write = WRITES[route]
    client, path, body = await asyncio.to_thread(write, place)
    assert re.fullmatch(re.sub(r"{\w+}", "[^/]+", route[1]), path)
    request_id = uuid4().hex
    sent = {} if body is None else {"json": body}
    answer = client.request(route[0], path, headers={"x-request-id": request_id, "x-ias-source": "cli"}, **sent)
    good(answer)
    entries = await log.fetch("SELECT * FROM identity.audit_log WHERE request_id = $1", request_id)
    assert len(entries) == 1
    entry = entries[0]
    assert (entry["before"] is not None, entry["after"] is not None) == shape
    if shape == CHANGED:
        before, after = (msgspec.json.decode(entry[side]) for side in ("before", "after"))
        assert before.keys() & after.keys()
        assert before != after or "password" in before or route == ("POST", "/auth/refresh")
    assert (entry["source"], bool(entry["actor"])) == ("cli", True)
    said = str(dict(entry))
    assert [
        secret for secret in _secrets(body) | _secrets(answer.json() if answer.content else None) if secret in said
    ] == []


def _secrets(sent: object) -> set[str]:
    """What was sent or answered that nobody may read later."""
    found = sent if isinstance(sent, dict) else {}
    return {str(value) for name, value in found.items() if re.search("password|token$|url$", name)}


async def test_no_entry_of_all_these_holds_a_password_a_token_or_a_hash(place: Place, log: asyncpg.Connection) -> None:
    entries = [str(dict(row)) for row in await log.fetch("SELECT * FROM identity.audit_log")]
    hidden = await log.fetch(
        "SELECT password_hash AS secret FROM identity.users UNION ALL SELECT token_hash FROM identity.refresh_tokens"
        " UNION ALL SELECT token_hash FROM identity.invites UNION ALL SELECT fingerprint FROM identity.api_keys"
    )
    secrets = {row["secret"] for row in hidden} | {PASSWORD, NEW_PASSWORD, "$2b$", "$argon2", f"ias_{place.org.tag}_"}
    assert len(secrets) > 20
    text = "\n".join(entries)
    assert [secret for secret in secrets if secret in text] == []


async def test_a_write_that_is_undone_leaves_no_entry_and_an_entry_that_fails_undoes_the_write(
    place: Place, log: asyncpg.Connection
) -> None:
    taken = good(place.root.get("/organizations", params={"limit": "1"}))["items"][0]["name"]
    before = await log.fetchval("SELECT count(*) FROM identity.audit_log")
    assert place.root.post("/organizations", json={"name": taken}).status_code == 409
    await log.execute(_REFUSE)
    try:
        name = good(place.user.get("/me"))["name"]
        assert place.user.patch("/me", json={"name": "Nobody"}).status_code == 500
        assert good(place.user.get("/me"))["name"] == name
    finally:
        await log.execute("DROP FUNCTION public.refuse_entries() CASCADE")
    assert await log.fetchval("SELECT count(*) FROM identity.audit_log") == before


_REFUSE = """
CREATE FUNCTION public.refuse_entries() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'no entry today'; END $$;
CREATE TRIGGER refuse BEFORE INSERT ON identity.audit_log FOR EACH ROW WHEN (NEW.action = 'user.renamed')
EXECUTE FUNCTION public.refuse_entries()
"""

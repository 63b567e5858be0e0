"""What people ask of the management API: every GET of the document, and writes as they come, in one mix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import NamedTuple

import msgspec

from bench.population import Member, Population, Tenant
from ias.paging import encode_cursor

PREFIX = "/api/v1"
BAR_MS = 500.0
OF_AN_ORGANISATION_MS = 200.0
"""What p99 of analytics has to be below, of thirty days of one organisation."""
ADMINS, MEMBERS, EVERYBODY = ("system", "admin"), ("admin", "user"), ("system", "admin", "user")
SYSTEM = ("system",)


class Route(NamedTuple):
    """A route: who asks it, one in how many hundred requests it is, queries and a body that it may have, its bar."""

    method: str
    path: str
    weight: float
    asked_by: tuple[str, ...]
    queries: tuple[str, ...] = ("",)
    body: Mapping[str, object] | None = None
    bar_ms: float = BAR_MS
    of: str = ""
    """Told beside the path, where another row has the same."""

    @property
    def name(self) -> str:
        """As it is reported."""
        return f"{self.method} {self.path}{f' ({self.of})' if self.of else ''}"


DAYS = "?from={month_ago}"
"""Thirty days."""
BERLIN, KOLKATA = "Europe/Berlin", "Asia/Kolkata"
GROUPED = (
    *("&group_by=model", "&group_by=user", "&group_by=hour", "&group_by=key", "&group_by=day&group_by=model"),
    *("&group_by=user&group_by=model", "&group_by=month&group_by=key", "&group_by=day&group_by=user"),
)
ELSEWHERE = tuple(
    f"&group_by=day{by}&timezone={zone}" for zone in (BERLIN, KOLKATA) for by in ("", "&group_by=user", "&group_by=key")
)
NARROWED = ("", "&limit=200", "&errors=true", "&user_id={user_id}", "&key_id={key_id}", "&slower_than_ms=800")
SHARES = (DAYS, f"{DAYS}&sort=change&timezone={BERLIN}", f"{DAYS}&limit=200")
PAGES = ("", "", "?limit=200", "?cursor={cursor}")
_OF_ORG = "?org_id={org_id}"
_ORG = "/organizations/{org_id}"

ROUTES = (
    Route("GET", "/me", 8, EVERYBODY),
    Route("GET", "/me/limits", 4, MEMBERS),
    Route("GET", "/me/sessions", 1, EVERYBODY),
    Route("GET", "/organizations", 4, EVERYBODY, PAGES),
    Route("GET", _ORG, 5, EVERYBODY),
    Route("GET", f"{_ORG}/budget", 5, EVERYBODY),
    Route("GET", f"{_ORG}/users/{{user_id}}/budget", 2, EVERYBODY),
    Route("GET", f"{_ORG}/limits", 2, EVERYBODY),
    Route("GET", f"{_ORG}/allowed-models", 2, EVERYBODY),
    Route("GET", f"{_ORG}/alert-thresholds", 2, EVERYBODY),
    Route("GET", f"{_ORG}/alerts", 3, EVERYBODY, PAGES),
    Route("GET", f"{_ORG}/spend", 4, EVERYBODY, ("", "?group_by=user", "?group_by=key")),
    Route("GET", "/users", 5, ADMINS, (*PAGES, _OF_ORG)),
    Route("GET", "/users/{user_id}", 4, ADMINS),
    Route("GET", "/users/invites", 2, ADMINS, (*PAGES, _OF_ORG)),
    Route("GET", "/api-keys", 8, EVERYBODY, (*PAGES, "?user_id={user_id}")),
    Route("GET", "/api-keys/{key_id}", 4, EVERYBODY),
    Route("GET", "/models", 4, EVERYBODY),
    Route("GET", "/models/{model_id}", 2, EVERYBODY),
    Route("GET", "/models/{model_id}/rates", 1, EVERYBODY),
    Route("GET", "/models/{model_id}/replicas", 1, SYSTEM),
    Route("GET", "/models/{model_id}/callers", 1, SYSTEM),
    Route(
        *("GET", "/audit-logs", 4, ADMINS),
        (*PAGES, _OF_ORG, "?actor_id={user_id}", "?action=key.issued", "?action=key.lost", "?since={moment}"),
    ),
    Route("GET", "/audit-logs/{entry_id}", 2, ADMINS),
    Route("GET", "/audit-logs/export", 1, ADMINS, (_OF_ORG,)),
    Route("GET", "/audit-logs/verification", 1, ADMINS, (_OF_ORG,)),
    Route("GET", "/ledger/lines", 4, EVERYBODY, ("", "?limit=200", "?request_id={request_id}", _OF_ORG)),
    Route(
        *("GET", "/analytics/orgs/{org_id}/usage", 5, EVERYBODY),
        tuple(f"{DAYS}{more}" for more in ("", *GROUPED, *ELSEWHERE)),
        bar_ms=OF_AN_ORGANISATION_MS,
    ),
    Route(
        *("GET", "/analytics/requests", 3, MEMBERS),
        tuple(f"{DAYS}{more}" for more in NARROWED),
        bar_ms=OF_AN_ORGANISATION_MS,
    ),
    Route(
        *("GET", "/analytics/requests", 1, SYSTEM),
        tuple(f"{DAYS}{more}" for more in (*NARROWED, "&org_id={org_id}", "&model=model-1")),
        of="platform",
    ),
    Route("GET", "/analytics/requests/{request_id}", 1, SYSTEM, bar_ms=OF_AN_ORGANISATION_MS),
    *(
        Route("GET", f"/analytics/orgs/{{org_id}}/{what}", 1, EVERYBODY, SHARES, bar_ms=OF_AN_ORGANISATION_MS)
        for what in ("users", "models", "keys")
    ),
    Route("GET", "/analytics/system/usage", 1, SYSTEM, (DAYS, f"{DAYS}&group_by=model", f"{DAYS}&timezone={BERLIN}")),
    Route("GET", "/analytics/system/models", 1, SYSTEM, (DAYS,)),
    Route("GET", "/analytics/system/orgs", 1, SYSTEM, SHARES),
    Route("GET", "/analytics/system/reconciliation", 1, SYSTEM, (DAYS,)),
    Route("GET", f"{_ORG}/gitops/status", 1, ADMINS),
    Route("GET", f"{_ORG}/gitops/diff", 1, ADMINS),
    Route("GET", f"{_ORG}/gitops/drift", 1, ADMINS, PAGES),
    Route("GET", f"{_ORG}/gitops/runs", 1, ADMINS, PAGES),
    Route("GET", "/gitops/schema", 1, EVERYBODY),
    Route("POST", "/api-keys", 2, MEMBERS, body={"label": "{new}"}),
    Route("DELETE", "/api-keys/{old_key_id}", 1, MEMBERS),
    Route("POST", "/api-keys/{old_key_id}/rotate", 1, MEMBERS, body={"grace_s": 60}),
    Route("POST", "/users/invite", 1, ADMINS, body={"email": "{new}@example.net", "org_id": "{org_id}"}),
    Route("PATCH", "/users/{user_id}", 1, ADMINS, body={"name": "{new}"}),
    Route("PATCH", "/me", 1, EVERYBODY, body={"name": "{new}"}),
    Route("PATCH", _ORG, 1, SYSTEM, body={"name": "{new}"}),
    Route("PATCH", f"{_ORG}/budget", 1, ADMINS, body={"monthly_tokens": 900_000_000}),
    Route("PUT", f"{_ORG}/users/{{user_id}}/budget", 1, ADMINS, body={"monthly_tokens": 5_000_000}),
    Route("PUT", f"{_ORG}/limits", 1, ADMINS, body={"requests_per_second": 900, "burst": 1000}),
    Route("PUT", f"{_ORG}/alert-thresholds", 1, ADMINS, body={"thresholds": [60, 90]}),
    Route("PUT", f"{_ORG}/allowed-models", 1, ADMINS, body={"models": ["model-0", "model-1"]}),
)

ALONE = frozenset({"/auth/login", "/auth/refresh", "/users/accept-invite", "/me/password"})
"""Of their own rate: passwords are hashed by a bounded pool."""


@dataclass(frozen=True)
class Caller:
    """Somebody who asks: with what role, of which organisation, with which access token."""

    role: str
    tenant: Tenant
    member: Member
    token: str


class Asked(NamedTuple):
    """What somebody asks: the path with its query, the access token, the body."""

    path: str
    token: str
    body: bytes


class Mix:
    """Requests in the mix's proportions, the same ones for the same seed."""

    def __init__(self, people: Population, callers: list[Caller], seed: int) -> None:
        self._people = people
        self._random = Random(seed)
        self._callers = {role: [who for who in callers if who.role == role] for role in EVERYBODY}
        self._unused = {role: self._keys_of(role) for role in MEMBERS}
        self._made = 0

    def requests(self, number: int, port: int, of: Sequence[Route] = ROUTES) -> tuple[list[str], list[bytes]]:
        """So many requests of these routes, and the name of the route of each."""
        routes = self._random.choices(of, [route.weight for route in of], k=number)
        return [route.name for route in routes], [self._request(route, port) for route in routes]

    def one(self, route: Route, role: str, port: int) -> bytes:
        """A request of this role, as it is sent."""
        asked = self.asked(route, role)
        head = (
            f"{route.method} {PREFIX}{asked.path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
            f"authorization: Bearer {asked.token}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(asked.body)}\r\n\r\n"
        )
        return head.encode() + asked.body

    def asked(self, route: Route, role: str, query: str | None = None) -> Asked:
        """A request of this role, with this query or any of the route's."""
        caller = self._random.choice(self._callers[role])
        ids = self._ids(caller)
        if "{old_key_id}" in route.path:
            caller, ids["old_key_id"] = self._unused[role].pop()
        path = (route.path + (self._random.choice(route.queries) if query is None else query)).format_map(ids)
        return Asked(path, caller.token, b"" if route.body is None else msgspec.json.encode(_filled(route.body, ids)))

    def _request(self, route: Route, port: int) -> bytes:
        return self.one(route, self._random.choice(route.asked_by), port)

    def _keys_of(self, role: str) -> list[tuple[Caller, str]]:
        """Keys that nobody has revoked yet, with their holders."""
        return [(who, str(key)) for who in self._callers[role] for key in who.member.keys[1:]]

    def _ids(self, caller: Caller) -> dict[str, str]:
        """What the names in a route's path, queries and body stand for."""
        pick, tenant = self._random.choice, caller.tenant
        member = caller.member if caller.role == "user" else pick(tenant.members)
        self._made += 1
        return {
            "org_id": str(tenant.id),
            "tag": tenant.tag,
            "user_id": str(member.id),
            "key_id": str(member.keys[0]),
            "model_id": str(pick(self._people.models[:2])[0]),
            "entry_id": str(pick(tenant.entries)),
            "request_id": str(pick(tenant.requests or self._people.tenants[0].requests)),
            "alert_id": str(pick(tenant.alerts)),
            "invite_id": str(tenant.invites[0]),
            "cursor": encode_cursor(pick(pick((tenant.entries, tenant.alerts, member.keys, tenant.invites)))),
            "moment": f"{self._people.moment:%Y-%m-%dT%H:%M:%SZ}",
            "month_ago": f"{self._people.moment - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}",
            "new": f"new-{caller.member.id.hex[-8:]}-{self._made}",
        }


def _filled(body: Mapping[str, object], ids: Mapping[str, str]) -> dict[str, object]:
    return {name: value.format_map(ids) if isinstance(value, str) else value for name, value in body.items()}

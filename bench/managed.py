"""Every organisation bound to a repository of its own, with what Git changed so far and what it put back, by COPY."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import msgspec

from bench.copying import Row, copy
from bench.population import Population, Tenant, address
from ias.db import uuid7

URL = "https://git.example.org/team-{}/policies.git"
USERS = 10
"""Members that each policy names."""
RUNS = 50
DRIFTED = 50
COMMIT = hashlib.sha1(b"a commit", usedforsecurity=False).hexdigest()
"""The commit that waits to be let through, of all."""

_REPOSITORIES = ("id", "url", "branch", "head", "due_at", "fetched_at")
_BINDINGS = (
    *("org_id", "repository_id", "enabled_by", "enabled_by_email", "state", "commit_seen", "blob_seen", "held_for"),
    *("offered", "offered_lines", "applied", "applied_lines", "applied_commit", "applied_blob", "applied_by"),
)
_RUNS = ("id", "org_id", "commit", "author", "subject", "changes")
_DRIFT = (
    "id",
    "org_id",
    "field",
    "wanted",
    "found",
    "commit",
    "changed_by",
    "changed_by_email",
    "changed_at",
    "source",
)
_CHANGES = '[{"field": "spec.budgets.monthly_tokens", "before": 1, "after": 2, "target": null}]'


async def managed(connection: asyncpg.Connection, people: Population) -> None:
    """Copy it into a database that has these people."""
    repositories = [uuid7() for _ in people.tenants]
    later = people.moment + timedelta(days=1)
    rows = ((id_, URL.format(n), "main", COMMIT, later, people.moment) for n, id_ in enumerate(repositories))
    await copy(connection, "gitops.repositories", _REPOSITORIES, rows)
    await copy(connection, "gitops.bindings", _BINDINGS, _bindings(people, repositories))
    await copy(connection, "gitops.sync_runs", _RUNS, _runs(people))
    await copy(connection, "gitops.drift", _DRIFT, _drift(people))


def policy(tenant: Tenant) -> str:
    """The policy of an organisation, as JSON, which is YAML too."""
    users = [{"email": address(member), "role": "org-user"} for member in tenant.members[:USERS]]
    spec = {"budgets": {"monthly_tokens": 1_000_000}, "users": [{**users[0], "role": "org-admin"}, *users[1:]]}
    whole = {"apiVersion": "ias.linode.com/v1", "kind": "Organization", "metadata": {"name": f"Org {tenant.tag}"}}
    return msgspec.json.encode({**whole, "spec": spec}).decode()


def _bindings(people: Population, repositories: list[UUID]) -> Iterator[Row]:
    admin = people.admins[0]
    for tenant, repository in zip(people.tenants, repositories, strict=True):
        told, lines = policy(tenant), '{"metadata": 3, "budgets": 5, "users": 7}'
        yield (
            *(tenant.id, repository, admin.id, address(admin), "held", COMMIT, COMMIT, "[]"),
            *(told, lines, told, lines, COMMIT, COMMIT, "Ada"),
        )


def _runs(people: Population) -> Iterator[Row]:
    for _ in range(RUNS):
        for tenant in people.tenants:
            yield uuid7(), tenant.id, COMMIT, "Ada", "More tokens", _CHANGES


def _drift(people: Population) -> Iterator[Row]:
    for number in range(DRIFTED):
        moment = people.moment - timedelta(minutes=number)
        for tenant in people.tenants:
            admin = tenant.members[0]
            told = ("spec.budgets.monthly_tokens", "1", "2", COMMIT, admin.id, address(admin), moment, "api")
            yield (uuid7(), tenant.id, *told)

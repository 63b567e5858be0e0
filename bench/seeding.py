"""A population copied into the database: what is there, and what has become of it so far."""

import secrets
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import asyncpg
import bcrypt

from bench.accounts import booked, counted
from bench.copying import Row, copy
from bench.managed import managed
from bench.population import Member, Population, Size, address
from bench.scale_events import Loaded
from ias.db import uuid7

PASSWORD = "Correct-horse-7-battery!"
INVITES = 6
REPEATS = 5
CAPPED = 9
"""One key in so many has a cap."""


# The rows are right by construction, and checking two million foreign keys one by one is what would take the time.
_UNCHECKED = "SET session_replication_role = replica"
_CHECKED = "SET session_replication_role = origin"


def hashed(cost: int = 12) -> str:
    """The password of everybody, as it is stored: at the cost that the product hashes new ones with."""
    return bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(cost)).decode()


async def seed(url: str, people: Population, size: Size, password_hash: str) -> Loaded:
    """Copy them into a migrated database, as its owner, a superuser; all have the same password."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_UNCHECKED)
        await _identity(connection, people, size, password_hash)
        loaded = await counted(connection, url, people, size)
        await booked(connection, people, size)
        await managed(connection, people)
        await connection.execute(_CHECKED)  # the audit log's chain is made by a trigger
        await copy(connection, "identity.audit_log", _AUDIT, _entries(people, size.entries))
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
        return loaded
    finally:
        await connection.close()


_ORGS = ("id", "name", "name_folded", "tag")
_USERS = ("id", "org_id", "email", "email_folded", "name", "password_hash", "role")
_SESSIONS = ("id", "org_id", "user_id", "family_id", "token_hash", "expires_at")
_KEYS = ("id", "org_id", "user_id", "label", "prefix", "fingerprint", "monthly_tokens")
_INVITES = ("id", "org_id", "email", "email_folded", "role", "token_hash", "invited_by", "expires_at", "closed_at")
_AUDIT = ("id", "org_id", "actor_id", "actor", "action", "target_id", "after", "source", "created_at")


async def _identity(connection: asyncpg.Connection, people: Population, size: Size, password_hash: str) -> None:
    names = ((tenant.id, f"Org {tenant.tag}", f"org-{n}", tenant.tag) for n, tenant in enumerate(people.tenants))
    await copy(connection, "identity.organizations", _ORGS, names)
    await copy(connection, "identity.users", _USERS, _users(people, password_hash))
    await copy(connection, "identity.refresh_tokens", _SESSIONS, _sessions(people))
    await copy(connection, "identity.api_keys", _KEYS, _api_keys(people, size.keys))
    await copy(connection, "identity.invites", _INVITES, _invites(people))
    await copy(connection, "identity.repeats", ("user_id", "key_hash", "asked"), _repeats(people))


def _everybody(people: Population) -> Iterator[tuple[Member, UUID | None, str]]:
    """Members with organisation and role."""
    for tenant in people.tenants:
        for number, member in enumerate(tenant.members):
            yield member, tenant.id, "org-user" if number else "org-admin"
    for member in people.admins:
        yield member, None, "system-admin"


def _users(people: Population, password_hash: str) -> Iterator[Row]:
    for member, org_id, role in _everybody(people):
        yield member.id, org_id, address(member), address(member), "Ada Lovelace", password_hash, role


def _sessions(people: Population) -> Iterator[Row]:
    until = people.moment + timedelta(days=7)
    for member, org_id, _ in _everybody(people):
        yield uuid7(), org_id, member.id, member.session, secrets.token_hex(32), until


def _api_keys(people: Population, count: int) -> Iterator[Row]:
    holders = [(tenant, member) for tenant in people.tenants for member in tenant.members]
    for number in range(count):
        tenant, member = holders[number % len(holders)]
        key = uuid7()
        member.keys.append(key)
        cap = None if number % CAPPED else 10**6
        prefix = f"ias_{tenant.tag}_{number:04}"
        yield key, tenant.id, member.id, f"key {number}", prefix, secrets.token_hex(32), cap


def _invites(people: Population) -> Iterator[Row]:
    until = people.moment + timedelta(days=7)
    for tenant in people.tenants:
        tenant.invites.extend(uuid7() for _ in range(INVITES))
        for number, invite in enumerate(tenant.invites):
            email, closed = f"{invite.hex}@example.org", people.moment if number % 2 else None
            yield (
                *(invite, tenant.id, email, email, "org-user"),
                *(secrets.token_hex(32), tenant.members[0].id, until, closed),
            )


def _repeats(people: Population) -> Iterator[Row]:
    for tenant in people.tenants:
        for member in tenant.members[:REPEATS]:
            yield member.id, secrets.token_bytes(32), secrets.token_bytes(32)


def _entries(people: Population, entries: int) -> Iterator[Row]:
    for tenant in people.tenants:
        tenant.entries.extend(uuid7() for _ in range(entries))
    for number in range(entries):  # in turn: a chain that grows within one transaction is slower with each entry
        for tenant in people.tenants:
            member = tenant.members[number % len(tenant.members)]
            after = '{"label": "key", "expires_at": null}'
            yield (
                *(tenant.entries[number], tenant.id, member.id, address(member), "key.issued"),
                *(uuid7(), after, "api", people.moment),
            )

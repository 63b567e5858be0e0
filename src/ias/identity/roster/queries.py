"""Reading rosters, many at once, and who changed what; inside the caller's transaction."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import msgspec

from ias.db import Connection
from ias.identity.members.domain import Role
from ias.identity.orgs.domain import ManagedBy
from ias.identity.roster.domain import About, Deed, Expected, Person, Roster, Standing
from ias.identity.roster.links import link_of
from ias.paging import first_id

_ORGS = """
SELECT id, name, tag, status, description, cost_center, tags FROM identity.organizations
WHERE id = ANY($1) AND status <> 'removed'
"""
_USERS = """
SELECT org_id, id, email, email_folded, role, status FROM identity.users
WHERE org_id = ANY($1) AND status <> 'removed'
"""
_INVITED = """
SELECT org_id, id, email, email_folded, role, 'invited' AS status FROM identity.invites
WHERE org_id = ANY($1) AND closed_at IS NULL AND expires_at > now()
"""
_DEEDS = """
SELECT actor_id, actor, action, target_id, before, after, created_at, source FROM identity.audit_log
WHERE org_id = $1 AND id >= $3 AND created_at >= $2 AND source <> 'git' ORDER BY id DESC LIMIT 1000
"""
_APART = timedelta(minutes=1)
"""By so much the clocks of who makes ids and of PostgreSQL may differ."""
_EXPECTED = """
SELECT id, email, role, expires_at, token_hash FROM identity.invites
WHERE org_id = $1 AND closed_at IS NULL AND expires_at > now() ORDER BY email
"""
_MANAGED_BY = "SELECT managed_by FROM identity.organizations WHERE id = $1"
_HELD = "SELECT id FROM identity.organizations WHERE id = $1 AND status = 'active' FOR NO KEY UPDATE"
_HELD_USERS = "SELECT FROM identity.users WHERE org_id = $1 AND id = ANY($2) ORDER BY id FOR NO KEY UPDATE"
_HELD_INVITES = "SELECT FROM identity.invites WHERE org_id = $1 AND closed_at IS NULL ORDER BY id FOR NO KEY UPDATE"
_HELD_KEYS = """
SELECT FROM identity.api_keys WHERE org_id = $1 AND user_id = ANY($2) AND revoked_at IS NULL
ORDER BY id FOR NO KEY UPDATE
"""


async def rosters(connection: Connection, org_ids: Collection[UUID]) -> dict[UUID, Roster]:
    """The rosters of these organisations, as far as they are there."""
    ids = list(org_ids)
    people: dict[UUID, dict[str, Person]] = {}
    # Members after invites: who has an account is a member, whatever invite is still open.
    for query in (_INVITED, _USERS):
        for row in await connection.fetch(query, ids):
            person = Person(row["id"], row["email"], Role(row["role"]), Standing(row["status"]))
            people.setdefault(row["org_id"], {})[row["email_folded"]] = person
    return {
        row["id"]: Roster(
            row["id"],
            row["name"],
            row["tag"],
            row["status"] == "active",
            About(row["description"], row["cost_center"], msgspec.json.decode(row["tags"], type=dict[str, str])),
            people.get(row["id"], {}),
        )
        for row in await connection.fetch(_ORGS, ids)
    }


async def hold_organisation(connection: Connection, org_id: UUID) -> bool:
    """Keep others from changing members of an organisation until the transaction ends; False where it is not active."""
    return await connection.fetchval(_HELD, org_id) is not None


async def hold_people(connection: Connection, org_id: UUID, people: Collection[UUID]) -> None:
    """Keep others from changing these members, their keys, or who is expected, until the transaction ends.

    To be called before anything is recorded: who takes another name or revokes a key has that row first, and the log's
    end last. Members before keys, as whoever removes somebody has them.
    """
    await connection.execute(_HELD_USERS, org_id, list(people))
    await connection.execute(_HELD_INVITES, org_id)
    await connection.execute(_HELD_KEYS, org_id, list(people))


async def deeds(connection: Connection, org_id: UUID, since: datetime) -> list[Deed]:
    """What people changed in an organisation since then, by pages, CLI and API, newest first."""
    return [
        Deed(
            row["actor_id"],
            row["actor"],
            row["action"],
            row["target_id"],
            _fields(row["after"]),
            _fields(row["before"]),
            row["created_at"],
            row["source"],
        )
        for row in await connection.fetch(_DEEDS, org_id, since, first_id(since - _APART))
    ]


async def expected(connection: Connection, org_id: UUID) -> list[Expected]:
    """Who is expected by Git, with their links; of whoever was invited by a person, only that person had the link."""
    rows = await connection.fetch(_EXPECTED, org_id)
    links = [(row, link_of(row["id"], row["token_hash"])) for row in rows]
    return [Expected(row["email"], Role(row["role"]), row["expires_at"], link) for row, link in links if link]


async def managed_by(connection: Connection, org_id: UUID) -> ManagedBy | None:
    """The file in Git that has an organisation's policy; None without one."""
    told: str | None = await connection.fetchval(_MANAGED_BY, org_id)
    return None if told is None else msgspec.json.decode(told, type=ManagedBy)


def _fields(text: str | None) -> dict[str, object]:
    return {} if text is None else cast("dict[str, object]", msgspec.json.decode(text))

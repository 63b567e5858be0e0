"""Bringing an organisation's people to what is wanted, inside the caller's transaction.

The caller holds the organisation, has seen to it that an admin is left, and projects when the transaction is over.
"""

from datetime import datetime
from uuid import UUID

import msgspec

from ias.db import Connection, uuid7
from ias.identity.access.domain import By
from ias.identity.audit.actions import record
from ias.identity.members.domain import INVITE_LIFETIME, Role
from ias.identity.naming import folded
from ias.identity.orgs.domain import ManagedBy
from ias.identity.roster.domain import About, Person, Standing
from ias.identity.roster.links import token_of
from ias.identity.sessions.actions import end_sessions
from ias.identity.sessions.domain import digest
from ias.identity.tables import Invites
from ias.problems import Problem
from ias.telemetry import now

_REGRADE = "UPDATE identity.users SET role = $2 WHERE id = $1 AND role <> 'system-admin'"
_REGRADE_INVITE = "UPDATE identity.invites SET role = $2 WHERE id = $1 AND closed_at IS NULL"
_REMOVE = "UPDATE identity.users SET status = 'removed', removed_at = $2 WHERE id = $1 AND org_id IS NOT NULL"
_REVOKE = "UPDATE identity.api_keys SET revoked_at = $2, revoked_by = $3 WHERE user_id = $1 AND revoked_at IS NULL"
_CLOSE = "UPDATE identity.invites SET closed_at = $2 WHERE id = $1 AND closed_at IS NULL"
_CLOSE_FOR = """
UPDATE identity.invites SET closed_at = $3 WHERE org_id = $1 AND email_folded = $2 AND closed_at IS NULL
"""
_DESCRIBE = "UPDATE identity.organizations SET description = $2, cost_center = $3, tags = $4 WHERE id = $1"
_MANAGED = """
UPDATE identity.organizations SET managed_by = $2 WHERE id = $1 AND managed_by IS DISTINCT FROM $2::jsonb
"""
_SUSPENDED = """
UPDATE identity.organizations SET managed_by = managed_by || $2::jsonb WHERE id = $1 AND managed_by IS NOT NULL
"""


class NeverAdmin(Problem):
    """Nobody becomes a system admin by a file."""

    status = 403
    title = "Role cannot be granted"


async def regrade(connection: Connection, by: By, person: Person, role: Role) -> None:
    """Give somebody another role; of somebody who is only expected, the role that they will have."""
    if role is Role.SYSTEM_ADMIN:
        raise NeverAdmin("nobody becomes a system admin by a file")
    invited = person.standing is Standing.INVITED
    await connection.execute(_REGRADE_INVITE if invited else _REGRADE, person.id, role.value)
    verb = "invite.changed" if invited else "user.changed"
    await record(by, verb, person.id, {"role": person.role}, {"role": role})


async def dismiss(connection: Connection, by: By, person: Person) -> None:
    """Remove somebody: sessions end and keys are revoked; their history stays. An invite is withdrawn."""
    moment = now()
    if person.standing is Standing.INVITED:
        await connection.execute(_CLOSE, person.id, moment)
        await record(by, "invite.withdrawn", person.id, before={"email": person.email})
        return
    await connection.execute(_REMOVE, person.id, moment)
    await connection.execute(_REVOKE, person.id, moment, by.user_id)
    await end_sessions(person.id)
    await record(by, "user.removed", person.id, {"email": person.email, "role": person.role})


async def expect_person(connection: Connection, by: By, email: str, role: Role) -> UUID:
    """Let a membership wait for somebody. Whether the address has an account elsewhere is not looked at, nor told."""
    if role is Role.SYSTEM_ADMIN:
        raise NeverAdmin("nobody becomes a system admin by a file")
    moment, invite_id = now(), uuid7()
    await connection.execute(_CLOSE_FOR, by.org_id, folded(email), moment)
    await Invites(
        id=invite_id,
        org_id=by.org_id,
        email=email,
        email_folded=folded(email),
        role=role.value,
        token_hash=digest(token_of(invite_id)),
        invited_by=by.user_id,
        created_at=moment,
        expires_at=moment + INVITE_LIFETIME,
    ).save()
    await record(by, "user.invited", invite_id, after={"email": email, "role": role})
    return invite_id


async def describe(connection: Connection, by: By, before: About, wanted: About) -> None:
    """Change what an organisation says of itself."""
    tags = msgspec.json.encode(wanted.tags).decode()
    await connection.execute(_DESCRIBE, by.org_id, wanted.description, wanted.cost_center, tags)
    was, will = msgspec.structs.asdict(before), msgspec.structs.asdict(wanted)
    changed = [name for name in will if was[name] != will[name]]
    old, new = {name: was[name] for name in changed}, {name: will[name] for name in changed}
    await record(by, "organisation.described", by.org_id, old, new)


async def say_managed(connection: Connection, org_id: UUID, managed_by: ManagedBy | None) -> None:
    """Say which file in Git manages an organisation beside the API, for its answers to tell."""
    told = None if managed_by is None else msgspec.json.encode(managed_by).decode()
    await connection.execute(_MANAGED, org_id, told)


async def say_suspended(connection: Connection, org_id: UUID, until: datetime | None, reason: str) -> None:
    """Say, for its answers to tell, until when Git is left aside; None: it is not."""
    told = msgspec.json.encode({"suspended_until": until, "suspended_reason": reason}).decode()
    await connection.execute(_SUSPENDED, org_id, told)

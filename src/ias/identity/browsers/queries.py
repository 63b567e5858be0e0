"""Reading whose cookie it is, and what stands on every page."""

from uuid import UUID

import msgspec

from ias.console.visit import Org, Who
from ias.db import lookup
from ias.identity.access.domain import Principal
from ias.identity.browsers.domain import Session
from ias.identity.orgs.domain import ManagedBy
from ias.identity.sessions.domain import IDLE, digest
from ias.problems import NotFound
from ias.telemetry import now

_SESSION = """
SELECT user_id, family_id, seen_at FROM identity.refresh_tokens
WHERE token_hash = $1 AND browser AND revoked_at IS NULL AND expires_at > $2 AND seen_at > $3
"""
_AROUND = """
SELECT u.name, u.role, o.id AS org_id, o.name AS org_name, o.status = 'suspended' AS suspended, o.managed_by
FROM identity.users u LEFT JOIN identity.organizations o ON o.id = $2 AND o.status <> 'removed'
WHERE u.id = $1
"""


async def session(token: str) -> Session | None:
    """The session of a cookie; None where it has ended, or never was."""
    moment = now()
    async with lookup() as connection:
        row = await connection.fetchrow(_SESSION, digest(token), moment, moment - IDLE)
    return None if row is None else Session(row["user_id"], row["family_id"], row["seen_at"])


async def around(principal: Principal, org_id: UUID | None) -> tuple[Who, Org | None]:
    """Who looks, and at which organisation.

    Raises:
        NotFound: there is no such organisation.
    """
    async with lookup() as connection:
        row = await connection.fetchrow(_AROUND, principal.user_id, org_id)
    who = Who(principal.user_id, row["name"], principal.email, row["role"])
    if org_id is None:
        return who, None
    if row["org_id"] is None:
        raise NotFound("no such organisation")
    managed = None if row["managed_by"] is None else msgspec.json.decode(row["managed_by"], type=ManagedBy)
    return who, Org(row["org_id"], row["org_name"], row["suspended"], managed)

"""Whoever is logged in."""

from ias.db import Connection, lookup
from ias.identity.access.domain import Principal
from ias.identity.sessions.domain import IDLE, LiveSession, Me
from ias.paging import MAX_LIMIT, Page
from ias.telemetry import now

_ME = """
SELECT u.name, u.role, o.name AS org_name
FROM identity.users u LEFT JOIN identity.organizations o ON o.id = u.org_id WHERE u.id = $1
"""

_LIVE = """
SELECT family_id, min(created_at) AS begun_at, max(coalesce(seen_at, created_at)) AS seen_at,
       bool_or(browser) AS browser, max(agent) AS agent
FROM identity.refresh_tokens
WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 AND (NOT browser OR seen_at > $3)
GROUP BY family_id ORDER BY 3 DESC LIMIT $4
"""


async def live(principal: Principal) -> Page[LiveSession]:
    """Where the caller is logged in, the last seen first; two hundred at most."""
    moment = now()
    async with lookup() as connection:
        rows = await connection.fetch(_LIVE, principal.user_id, moment, moment - IDLE, MAX_LIMIT)
    found = [
        LiveSession(
            id=row["family_id"],
            begun_at=row["begun_at"],
            seen_at=row["seen_at"],
            browser=row["browser"],
            agent=row["agent"],
            current=row["family_id"] == principal.session_id,
        )
        for row in rows
    ]
    return Page(found, None)


async def me(principal: Principal) -> Me:
    """The caller, and what they may do."""
    async with lookup() as connection:
        return await account(connection, principal)


async def account(connection: Connection, principal: Principal) -> Me:
    """The same inside a transaction that goes on."""
    row = await connection.fetchrow(_ME, principal.user_id)
    return Me(
        id=principal.user_id,
        email=principal.email,
        name=row["name"],
        role=row["role"],
        org_id=principal.org_id,
        org_name=row["org_name"],
        permissions=sorted(permission.value for permission in principal.permissions),
    )

"""Whoever is logged in."""

from ias.db import Connection, lookup
from ias.identity.access.domain import Principal
from ias.identity.sessions.domain import Me

_ME = """
SELECT u.name, u.role, o.name AS org_name
FROM identity.users u LEFT JOIN identity.organizations o ON o.id = u.org_id WHERE u.id = $1
"""


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

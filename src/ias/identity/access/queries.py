"""The principal behind an access token, read at each request: demotion and removal take effect at once."""

from collections.abc import Mapping
from uuid import UUID

from ias.db import lookup, transaction
from ias.identity.access.domain import Origin, Principal, known
from ias.identity.access.tokens import Access, NotAuthenticated
from ias.problems import Problem

_WHO = """
SELECT u.email, u.org_id, u.status, o.tag, o.status AS org_status,
       ARRAY(SELECT permission FROM identity.role_permissions WHERE role = u.role) AS permissions,
       EXISTS (
           SELECT FROM identity.refresh_tokens t
           WHERE t.family_id = $2 AND t.user_id = u.id AND t.revoked_at IS NULL
       ) AS live
FROM identity.users u LEFT JOIN identity.organizations o ON o.id = u.org_id
WHERE u.id = $1
"""


# By the names that the paths of the API have for ids. Row-level security shows an organisation its own alone.
_OWNED = {
    "org_id": "SELECT EXISTS (SELECT FROM identity.organizations WHERE id = $1 AND status <> 'removed')",
    "user_id": "SELECT EXISTS (SELECT FROM identity.users WHERE id = $1 AND status <> 'removed')",
    "invite_id": "SELECT EXISTS (SELECT FROM identity.invites WHERE id = $1)",
    "key_id": "SELECT EXISTS (SELECT FROM identity.api_keys WHERE id = $1)",
    "entry_id": "SELECT EXISTS (SELECT FROM identity.audit_log WHERE id = $1)",
}


class OrganisationSuspended(Problem):
    """The principal's organisation is suspended; only a system admin can resume it."""

    status = 403
    title = "Organisation suspended"


async def principal_of(access: Access, origin: Origin) -> Principal:
    """Who is asking, and what they may do now.

    Raises:
        NotAuthenticated: the user is suspended or removed, or the session has ended.
        OrganisationSuspended: nothing but resuming it helps.
    """
    async with lookup() as connection:
        row = await connection.fetchrow(_WHO, access.user_id, access.session_id)
    if row is None or row["status"] != "active" or not row["live"] or row["org_status"] == "removed":
        raise NotAuthenticated("this session has ended; log in again")
    if row["org_status"] == "suspended":
        raise OrganisationSuspended("this organisation is suspended; ask a system admin to resume it")
    return Principal(
        user_id=access.user_id,
        email=row["email"],
        org_id=row["org_id"],
        org_tag=row["tag"] or "",
        permissions=known(row["permissions"]),
        session_id=access.session_id,
        origin=origin,
    )


async def are_theirs(principal: Principal, named: Mapping[str, UUID]) -> bool:
    """Whether none of the things that a request names, by the names of their parameters, is another organisation's."""
    owned = {name: value for name, value in named.items() if name in _OWNED}
    if principal.everywhere or not owned:
        return True
    async with transaction(principal) as connection:
        return all([await connection.fetchval(_OWNED[name], value) for name, value in owned.items()])

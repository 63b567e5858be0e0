"""Reading what stands out of an organisation's people and keys, and of all organisations."""

from datetime import datetime
from typing import Final

import msgspec

from ias.db import lookup, transaction
from ias.identity.access.domain import Permission, Principal
from ias.identity.api_keys import queries as api_keys
from ias.identity.api_keys.domain import ApiKey, KeyUse
from ias.identity.outline.domain import SOON, EndingKey, Outline, PlatformOutline

_SHOWN: Final = 5

_OUTLINE = """
WITH people AS MATERIALIZED (
    SELECT u.id, u.role, NOT EXISTS (
        SELECT FROM identity.api_keys k
        WHERE k.user_id = u.id AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)
    ) AS keyless
    FROM identity.users u WHERE u.org_id = $1 AND u.status = 'active' AND $4
), open AS MATERIALIZED (
    SELECT expires_at > $2 AS lasts FROM identity.invites WHERE org_id = $1 AND closed_at IS NULL
)
SELECT (SELECT count(*) FROM people) AS members,
    (SELECT count(*) FROM people WHERE role = 'org-admin') AS admins,
    (SELECT count(*) FROM people WHERE keyless) AS keyless,
    (SELECT count(*) FROM open WHERE lasts) AS invited,
    (SELECT count(*) FROM open WHERE NOT lasts) AS lapsed,
    EXISTS (SELECT FROM identity.api_keys WHERE org_id = $1) AS keys,
    EXISTS (SELECT FROM identity.api_keys WHERE user_id = $3) AS own_keys
"""
_ENDING = """
SELECT k.id, k.label, u.email AS owner, k.expires_at
FROM identity.api_keys k JOIN identity.users u ON u.id = k.user_id
WHERE k.org_id = $1 AND k.revoked_at IS NULL AND k.expires_at > $2 AND k.expires_at <= $3 AND ($4 OR k.user_id = $5)
    AND k.expires_at - k.created_at >= $7
ORDER BY k.expires_at LIMIT $6
"""
_PLATFORM = """
SELECT count(*) FILTER (WHERE status <> 'removed') AS organisations,
    count(*) FILTER (WHERE status = 'suspended') AS suspended,
    EXISTS (SELECT FROM identity.users WHERE role = 'org-admin' AND status = 'active')
        OR EXISTS (SELECT FROM identity.invites WHERE role = 'org-admin' AND closed_at IS NULL) AS admins
FROM identity.organizations
"""


async def outline_of(principal: Principal, moment: datetime) -> Outline:
    """What stands out of the organisation that the caller acts in; `moment` is now."""
    every = principal.may(Permission.KEYS_ANY)
    async with transaction(principal) as connection:
        row = await connection.fetchrow(_OUTLINE, principal.org_id, moment, principal.user_id, every)
        ending = await connection.fetch(
            _ENDING, principal.org_id, moment, moment + SOON, every, principal.user_id, _SHOWN, SOON
        )
    return msgspec.convert({**row, "ending": [msgspec.convert(dict(each), EndingKey) for each in ending]}, Outline)


async def platform_outline() -> PlatformOutline:
    """What stands out of all organisations."""
    async with lookup() as connection:
        return msgspec.convert(dict(await connection.fetchrow(_PLATFORM)), PlatformOutline)


async def newest_keys(principal: Principal, use: KeyUse) -> list[ApiKey]:
    """The caller's newest keys that work, with their use."""
    found = await api_keys.working(principal.confined(), principal.user_id, _SHOWN)
    return list(await api_keys.with_use(found, use))

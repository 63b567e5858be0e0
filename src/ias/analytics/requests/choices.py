"""Reading what a list of requests can be narrowed to, and what members and keys in it are called."""

from collections.abc import Collection
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from ias.analytics.reading import reading
from ias.analytics.usage.queries import scope_of
from ias.analytics.usage.rollups import day_of
from ias.identity import Principal, addresses, key_labels

_MODELS: Final = "SELECT DISTINCT model FROM analytics.model_daily WHERE org_id = $1 AND bucket >= $2 ORDER BY 1"


class Named(msgspec.Struct, frozen=True):
    """What members and keys are called, by their ids."""

    members: dict[UUID, str]
    keys: dict[UUID, str]

    def member(self, user_id: UUID) -> str:
        """Whoever it is; the end of the id where the caller may not see them, or they are gone."""
        return self.members.get(user_id, f"member {str(user_id)[-8:]}")

    def key(self, key_id: UUID) -> str:
        """The same of a key."""
        return self.keys.get(key_id, f"key {str(key_id)[-8:]}")


async def named(principal: Principal, org_id: UUID, users: Collection[UUID], keys: Collection[UUID]) -> Named:
    """What these are called, and the newest members and keys.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    by = principal.within(org_id)
    return Named(await addresses(by, users), await key_labels(by, keys))


async def models(principal: Principal, org_id: UUID, since: datetime) -> list[str]:
    """The models that the organisation has called since then.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    async with reading(await scope_of(principal, org_id)) as connection:
        return [row["model"] for row in await connection.fetch(_MODELS, org_id, day_of(since))]

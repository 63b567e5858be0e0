"""Telling a Redis that lost a month what is used of it: what the ledger has, and what is yet to be booked.

What gateways settle meanwhile, or send again, is counted by Redis itself, and may be in the ledger already. So the sum
takes the place of what Redis counts, and only if it still counts what it did when the sum was begun. Redis is read
first, the ledger then, at one moment: whatever has left the outbox by then is in the ledger.
"""

from typing import Final, cast
from uuid import UUID

from ias.billing.check.domain import Fields, Waiting, add, counted, waiting
from ias.billing.check.queries import seen
from ias.billing.ledger import outbox
from ias.contract import admission
from ias.contract.admission import Reply, text
from ias.contract.books import USED, of_user
from ias.contract.key_records import of_key
from ias.db import EVERYWHERE, snapshot
from ias.edge import Edge, EdgeDown
from ias.identity import Caps, Tenant, capped

ATTEMPTS: Final = 20
PAGE: Final = 1000
_CHANGED: Final = -1

_BOOKED = """
SELECT user_id, sum(prompt_tokens + completion_tokens)::bigint AS tokens FROM billing.spend
WHERE org_id = $1 AND period = $2 GROUP BY user_id
"""
_BOOKED_BY_KEYS = """
SELECT key_id, sum(prompt_tokens + completion_tokens)::bigint AS tokens FROM billing.spend
WHERE org_id = $1 AND period = $2 AND key_id = ANY($3) GROUP BY key_id
"""


async def restore(org: Tenant, edge: Edge) -> None:
    """Say what is used of this month, unless Redis knows.

    Raises:
        EdgeDown: Redis did not confirm, or settlements came too fast; do it again.
    """
    for _ in range(ATTEMPTS):
        period, before = await _counted(org, edge)
        if before is None:
            return
        caps = (await capped([org.id])).get(org.id, {})
        total, parts = await _sums(org, period, caps, await _waiting(org, edge, period))
        if await edge.call(admission.restore(org.tag, period, before, total, parts)) != _CHANGED:
            return
    raise EdgeDown(f"what organisation {org.id} has used cannot be told: too much is settled meanwhile; do it again")


async def _counted(org: Tenant, edge: Edge) -> tuple[str, int | None]:
    """The month by Redis's clock, which admission goes by, and what is counted of it; None where it was not lost."""
    period = text(cast("Reply", await edge.call(admission.standing(org.tag, "")))[0])
    month = f"{admission.slot(org.tag)}:bud:{period}"
    base, counted = cast("Reply", await edge.call(("HMGET", month, "base", "used")))
    return period, int(text(counted or b"0")) if base is None else None


async def _waiting(org: Tenant, edge: Edge, period: str) -> list[Waiting]:
    """What of the month is in the outbox; the ledger may have it too."""
    found: list[Waiting] = []
    after: dict[str, bytes] = {}
    while entries := await outbox.first(edge, [org.tag], after, PAGE):
        after = {org.tag: entries[-1].id}
        found += [one for entry in entries if (one := waiting(entry.fields)) is not None and one.period == period]
    return found


async def _sums(org: Tenant, period: str, caps: Caps, some: list[Waiting]) -> tuple[int, Fields]:
    """Tokens of the month: of all, and by member and key that has a cap."""
    places = [one.place for one in some if one.place is not None]
    async with snapshot(EVERYWHERE) as connection:
        rows = await connection.fetch(_BOOKED, org.id, period)
        by_keys = await connection.fetch(_BOOKED_BY_KEYS, org.id, period, [UUID(key) for key in caps]) if caps else ()
        booked = await seen(connection, places)
    members: Fields = {of_user(str(row["user_id"])): row["tokens"] for row in rows}
    keys = {of_key(key): 0 for key in caps} | {of_key(str(row["key_id"])): row["tokens"] for row in by_keys}
    months = {period: {USED: sum(members.values()), **members, **keys}}
    for one in some:
        if one.place not in booked:
            add(months, one)
    parts = counted(months[period], caps)
    return parts.pop(USED), parts

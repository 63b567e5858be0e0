"""Identity's part of what gateways decide by: organisations, suspended members, keys.

A ticket is taken before the state is read, and Redis refuses an older ticket: whatever order writers arrive in, what
stays is the newest. A change notes a debt in its own transaction and crosses it out once Redis has confirmed; debts
that grow old are what a crash left behind, and the worker pays them by projecting the whole organisation again.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import msgspec

from ias.contract import admission, key_records
from ias.contract.admission import Argument, Command
from ias.contract.key_records import MOST, RULED, KeyRow, Rules
from ias.db import ENGINE, EVERYWHERE, lookup, transaction, uuid7
from ias.edge import Edge, KeyRecord
from ias.identity.tables import ApiKeys, Organizations, ProjectionDebts, Users
from ias.telemetry import now

BATCH = 1000
PAGE = 10 * MOST
GRACE = timedelta(seconds=10)
"""How long a debt may be its writer's own business."""


class Tenant(msgspec.Struct, frozen=True):
    """An organisation as projections know it."""

    id: UUID
    tag: str


class Debt(msgspec.Struct, frozen=True):
    """A change of an organisation that Redis has not confirmed."""

    id: UUID
    owner: Tenant


Caps = Mapping[str, str]
"""Keys that have a cap: the fingerprint of each, by its id."""

# As text, and the columns of `KeyRow`: nothing is done to a key here but to pass it on. Behind them its rules.
_KEYS = """
SELECT fingerprint, CASE WHEN revoked_at IS NOT NULL THEN 'revoked'
    WHEN models IS NULL AND monthly_tokens IS NULL THEN 'active' ELSE 'ruled' END, id::text, user_id::text,
    CASE WHEN revoked_at IS NULL THEN coalesce(floor(extract(epoch FROM expires_at))::bigint::text, '') ELSE '' END,
    models, monthly_tokens
FROM identity.api_keys WHERE org_id = $1
"""
_COLUMNS = 5

_CAPPED = """
SELECT org_id, id::text, fingerprint FROM identity.api_keys WHERE org_id = ANY($1) AND monthly_tokens IS NOT NULL
"""

_DEBTS = """
SELECT d.id, o.id AS org_id, o.tag FROM identity.projection_debts d JOIN identity.organizations o ON o.id = d.org_id
WHERE d.created_at < $1 ORDER BY d.created_at LIMIT $2
"""

_TAG = "SELECT tag FROM identity.organizations WHERE id = $1 AND (status <> 'removed' OR $2)"
_MEMBER = "SELECT EXISTS (SELECT FROM identity.users WHERE id = $1 AND org_id = $2 AND status <> 'removed')"

_REMOVED = "SELECT id FROM identity.users WHERE id = ANY($1) AND status = 'removed'"


async def next_version() -> int:
    """A ticket; take it before reading what it is for."""
    rows = await ENGINE.run_ddl("SELECT nextval('identity.projection_version') AS ticket")
    return int(rows[0]["ticket"])


async def tenants() -> list[Tenant]:
    """Every organisation that has a projection: all that are not removed."""
    async with transaction(EVERYWHERE):
        rows = await (
            Organizations.select(Organizations.id, Organizations.tag)
            .where(Organizations.status != "removed")
            .order_by(Organizations.id)
        )
    return [Tenant(row["id"], row["tag"]) for row in rows]


async def tags() -> list[str]:
    """The tag of every organisation, of removed ones too: what was under way in them is still to be accounted for."""
    async with transaction(EVERYWHERE):
        return [row["tag"] for row in await Organizations.select(Organizations.tag).order_by(Organizations.id)]


async def everyone() -> list[Tenant]:
    """Every organisation, removed ones too."""
    async with transaction(EVERYWHERE):
        rows = await Organizations.select(Organizations.id, Organizations.tag).order_by(Organizations.id)
    return [Tenant(row["id"], row["tag"]) for row in rows]


async def names(orgs: Collection[UUID]) -> dict[UUID, str]:
    """What organisations are called."""
    async with lookup() as connection:
        rows = await connection.fetch("SELECT id, name FROM identity.organizations WHERE id = ANY($1)", list(orgs))
    return {row["id"]: row["name"] for row in rows}


async def is_member(org_id: UUID, user_id: UUID) -> bool:
    """Whether somebody who is not removed belongs to an organisation."""
    async with lookup() as connection:
        return bool(await connection.fetchval(_MEMBER, user_id, org_id))


async def removed_users(asked: Collection[UUID]) -> set[UUID]:
    """Which of these users were removed."""
    async with lookup() as connection:
        return {row["id"] for row in await connection.fetch(_REMOVED, list(asked))} if asked else set()


async def tenant(org_id: UUID, *, removed_too: bool = True) -> Tenant | None:
    """One organisation; None where there never was one. Those who change it ask for one that was not removed."""
    async with lookup() as connection:
        tag = await connection.fetchval(_TAG, org_id, removed_too)
    return None if tag is None else Tenant(org_id, tag)


async def project_organisation(org_id: UUID, edge: Edge) -> None:
    """Project the section `org`: the organisation's state and who of it is suspended or removed.

    Raises:
        EdgeDown: Redis did not confirm.
    """
    async with transaction(EVERYWHERE):
        version = await next_version()
        row = (
            await Organizations.select(Organizations.tag, Organizations.status)
            .where(Organizations.id == org_id)
            .first()
        )
        out = await Users.select(Users.id).where((Users.org_id == org_id) & (Users.status != "active"))
    if row is not None:
        await edge.project(row["tag"], "org", version, _section(org_id, row["status"], [user["id"] for user in out]))


async def project_keys(org: Tenant, edge: Edge) -> int:
    """Project every key of an organisation, revoked ones too, each page sent as it is read; answers how many.

    Raises:
        EdgeDown: Redis did not confirm.
    """
    done = 0
    async with transaction(EVERYWHERE) as connection:
        version = await next_version()
        keys = await connection.cursor(_KEYS, org.id)
        while found := await keys.fetch(PAGE):
            rows = [cast("KeyRow", row[:_COLUMNS]) for row in found]
            for at in range(0, len(rows), MOST):  # not in one pipeline, which Redis would do without a pause
                rules = {row[0]: _rules(row) for row in found[at : at + MOST] if row[1] == RULED}
                await edge.call(key_records.grants(org.tag, version, rows[at : at + MOST], rules))
            done += len(rows)
    return done


async def project_key(org: Tenant, key_id: UUID, edge: Edge) -> None:
    """Project one key as it is now.

    Raises:
        EdgeDown: Redis did not confirm.
    """
    async with transaction(EVERYWHERE):
        version = await next_version()
        row = await ApiKeys.select().where(ApiKeys.id == key_id).first()
    if row is not None:
        await edge.call(_command(org.tag, row, version))


async def capped(orgs: Collection[UUID]) -> dict[UUID, dict[str, str]]:
    """The keys of organisations that have a cap, revoked ones too; an organisation without any is left out."""
    found: dict[UUID, dict[str, str]] = {}
    async with transaction(EVERYWHERE) as connection:
        for row in await connection.fetch(_CAPPED, list(orgs)):
            found.setdefault(row["org_id"], {})[row["id"]] = row["fingerprint"]
    return found


async def revoke_keys(org: Tenant, user_id: UUID | None, edge: Edge) -> None:
    """Turn away the revoked keys of a member, or of the whole organisation, from now on.

    Raises:
        EdgeDown: Redis did not confirm.
    """
    async with transaction(EVERYWHERE):
        version = await next_version()
        mine = (ApiKeys.org_id == org.id) & ApiKeys.revoked_at.is_not_null()
        rows = await ApiKeys.select().where(mine if user_id is None else mine & (ApiKeys.user_id == user_id))
    for start in range(0, len(rows), BATCH):
        await edge.calls([_command(org.tag, row, version) for row in rows[start : start + BATCH]])


async def owe(org_id: UUID) -> UUID:
    """Note, inside a change's transaction, that it is still to be projected."""
    debt = uuid7()
    await ProjectionDebts(id=debt, org_id=org_id, created_at=now()).save()
    return debt


async def paid(debt: UUID) -> None:
    """Cross a debt out: Redis has confirmed."""
    async with transaction(EVERYWHERE):
        await ProjectionDebts.delete().where(ProjectionDebts.id == debt)


async def debts() -> list[Debt]:
    """What a crash or an unreachable Redis left behind, oldest first."""
    async with transaction(EVERYWHERE) as connection:
        rows = await connection.fetch(_DEBTS, now() - GRACE, BATCH)
    return [Debt(row["id"], Tenant(row["org_id"], row["tag"])) for row in rows]


def key_record(row: Mapping[str, object]) -> KeyRecord:
    """What gateways know of a key, out of its row."""
    expires_at = row["expires_at"]
    return KeyRecord(
        fingerprint=str(row["fingerprint"]),
        key_id=str(row["id"]),
        user_id=str(row["user_id"]),
        expires_at=int(expires_at.timestamp()) if isinstance(expires_at, datetime) else None,
        rules=_rules(row),
    )


def _rules(row: Mapping[str, object]) -> Rules:
    return msgspec.convert({name: row[name] for name in ("models", "monthly_tokens")}, Rules)


def _section(org_id: UUID, status: str, out: list[UUID]) -> dict[str, Argument]:
    state = "active" if status == "active" else "suspended"
    return {"id": str(org_id), "st": state, **{f"x:{user_id}": 1 for user_id in out}}


def _command(tag: str, row: Mapping[str, object], version: int) -> Command:
    key = key_record(row)
    owner = (key.key_id, key.user_id)
    if row["revoked_at"] is not None:
        return admission.revoke(tag, key.fingerprint, version, owner)
    return (*admission.grant(tag, key.fingerprint, version, owner, key.expires_at), *key.rules.fields())

"""Changing and removing members. Whoever is suspended or removed is turned away everywhere from now on."""

from uuid import UUID

import msgspec
from asyncpg.exceptions import UniqueViolationError
from piccolo.columns import Column

from ias.db import ENGINE, EVERYWHERE, transaction
from ias.edge import Edge
from ias.identity.access.domain import Actor, Origin, Principal, Source
from ias.identity.audit.actions import record
from ias.identity.members.domain import LastAdmin, Member, MemberChange, Role, changed, loses_admin
from ias.identity.members.queries import file_of
from ias.identity.naming import clean_address, clean_name, folded
from ias.identity.projection import Tenant, owe, paid, project_organisation, revoke_keys, tenant
from ias.identity.sessions.actions import end_sessions
from ias.identity.sessions.passwords import hashed
from ias.identity.tables import ApiKeys, Organizations, Users
from ias.problems import Conflict, NotFound
from ias.telemetry import now

_SYSTEM_ADMINS = "SELECT pg_advisory_xact_lock(hashtext('identity.system_admins'))"


class AddressTaken(Conflict):
    """The address, or a twin of it in case or Unicode, has an account already."""

    title = "Address is taken"


async def change(principal: Principal, user_id: UUID, asked: MemberChange, edge: Edge) -> Member:
    """Change a member's name, role or status.

    Raises:
        NotFound: there is no such member of an organisation that the caller may act in.
        CannotGrant: the role is a system admin's.
        LastAdmin: nobody could manage the organisation any more.
        EdgeDown: the change holds, but Redis did not confirm yet; the worker keeps trying.
    """
    if asked.name is not msgspec.UNSET:
        asked.name = clean_name(asked.name, "/name")
    async with transaction(principal):
        before = await _locked(principal, user_id)
        principal.expects(before)
        new = changed(before, asked)
        await _keep_an_admin(before, new)
        if new:
            await Users.update(_columns(new)).where(Users.id == user_id)
            await record(_acting(principal, before), "user.changed", user_id, _old(before, new), new)
        if new.get("status") == "suspended":
            await end_sessions(user_id)
        debt = await owe(before.org_id) if "status" in new and before.org_id else None
        managed = await file_of(before.org_id) if before.org_id else None
    if debt is not None and before.org_id is not None:
        await project_organisation(before.org_id, edge)
        await paid(debt)
    return msgspec.convert({**msgspec.structs.asdict(before), **new, "managed_by": managed}, Member)


async def remove(principal: Principal, user_id: UUID, edge: Edge) -> None:
    """Remove a member: sessions end, keys are revoked, the address is free again.

    Raises:
        NotFound: there is no such member of an organisation that the caller may act in.
        LastAdmin: nobody could manage the organisation any more.
        EdgeDown: the change holds, but Redis did not confirm yet; the worker keeps trying.
    """
    async with transaction(principal):
        before = await _locked(principal, user_id)
        principal.expects(before)
        await _keep_an_admin(before, {"status": "removed"})
        await Users.update({Users.status: "removed", Users.removed_at: now()}).where(Users.id == user_id)
        await _revoke_rows(principal, user_id)
        await end_sessions(user_id)
        await record(_acting(principal, before), "user.removed", user_id, {"email": before.email, "role": before.role})
        debt = await owe(before.org_id) if before.org_id else None
    org = await tenant(before.org_id) if before.org_id else None
    if org is not None and debt is not None:
        await _turn_away(org, user_id, edge)
        await paid(debt)


async def create_system_admin(email: str, name: str, password: str) -> Member:
    """Make a system admin, as the platform itself.

    Raises:
        AddressTaken: there is an account with this address.
        WeakPassword: the password cannot be taken.
    """
    address = clean_address(email, "/email")
    by = Actor(email="ias-admin bootstrap", origin=Origin(Source.CLI))
    row = Users(
        email=address,
        email_folded=folded(address),
        name=clean_name(name, "/name"),
        role=Role.SYSTEM_ADMIN.value,
        created_at=now(),
    )
    row.password_hash = await hashed(password, (address,))
    async with transaction(EVERYWHERE):
        await save_new(row)
        await record(by, "user.created", row.id, after={"email": address, "role": row.role})
    return msgspec.convert(row.to_dict(), Member)


async def save_new(row: Users) -> None:
    """Insert a user, inside a transaction.

    Raises:
        AddressTaken: there is an account with this address.
    """
    try:
        await row.save()
    except UniqueViolationError:
        raise AddressTaken(f"{row.email} has an account already") from None


async def _locked(principal: Principal, user_id: UUID) -> Member:
    """The member, with the organisation locked so that two last admins cannot remove each other."""
    here = (Users.id == user_id) & (Users.status != "removed")
    row = await Users.select().where(here).first()
    if row is None or (row["org_id"] != principal.org_id and not principal.everywhere):
        raise NotFound("no such user")
    if row["org_id"] is None:
        await ENGINE.run_ddl(_SYSTEM_ADMINS)
    else:
        await Organizations.select(Organizations.id).where(Organizations.id == row["org_id"]).lock_rows("NO KEY UPDATE")
    return msgspec.convert(await Users.select().where(here).first().lock_rows("NO KEY UPDATE") or row, Member)


async def _keep_an_admin(before: Member, new: dict[str, str]) -> None:
    if not loses_admin(before, new):
        return
    peers = (Users.role == before.role.value) & (Users.status == "active") & (Users.id != before.id)
    peers &= Users.org_id.is_null() if before.org_id is None else Users.org_id == before.org_id
    if not await Users.exists().where(peers):
        raise LastAdmin(f"{before.email} is the last {before.role.value}; make somebody else one first")


async def _revoke_rows(principal: Principal, user_id: UUID) -> None:
    live = (ApiKeys.user_id == user_id) & ApiKeys.revoked_at.is_null()
    await ApiKeys.update({ApiKeys.revoked_at: now(), ApiKeys.revoked_by: principal.user_id}).where(live)


async def _turn_away(org: Tenant, user_id: UUID, edge: Edge) -> None:
    await project_organisation(org.id, edge)
    await revoke_keys(org, user_id, edge)


def _columns(new: dict[str, str]) -> dict[Column | str, str]:
    return dict(new.items())


def _acting(principal: Principal, member: Member) -> Principal:
    return principal if member.org_id is None else principal.within(member.org_id)


def _old(before: Member, new: dict[str, str]) -> dict[str, object]:
    return {name: getattr(before, name) for name in new}

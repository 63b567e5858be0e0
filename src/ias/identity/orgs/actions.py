"""Creating, renaming, suspending and removing organisations."""

from uuid import UUID

import msgspec
from asyncpg.exceptions import UniqueViolationError

from ias.contract.keys import new_tag
from ias.db import transaction, uuid7
from ias.edge import Edge
from ias.identity.access.domain import Principal
from ias.identity.audit.actions import record
from ias.identity.naming import clean_name, folded
from ias.identity.orgs.domain import NameTaken, NewOrganisation, Organisation, Prepare, Status
from ias.identity.projection import Tenant, owe, paid, project_organisation, revoke_keys
from ias.identity.tables import ApiKeys, Invites, Organizations, RefreshTokens, Users
from ias.problems import NotFound
from ias.telemetry import now


async def create(principal: Principal, new: NewOrganisation, edge: Edge, prepare: Prepare) -> Organisation:
    """Create an organisation; keys of it work from this answer on.

    Raises:
        NameTaken: there is one of this name.
        EdgeDown: it is there, but Redis does not know all of it yet; the worker keeps trying.
    """
    name = clean_name(new.name, "/name")
    org = Organisation(id=uuid7(), name=name, tag=new_tag(), status=Status.ACTIVE, created_at=now())
    by = principal.within(org.id)
    async with transaction(by):
        try:
            await Organizations(**msgspec.structs.asdict(org), name_folded=folded(name)).save()
        except UniqueViolationError:
            raise NameTaken(f"there is an organisation called {name!r} already") from None
        await record(by, "organisation.created", org.id, after={"name": name})
        debt = await owe(org.id)
    await project_organisation(org.id, edge)
    await prepare(org.id, org.tag)
    await edge.complete(org.tag)
    await paid(debt)
    return org


async def rename(principal: Principal, org_id: UUID, asked: NewOrganisation) -> Organisation:
    """Give an organisation another name.

    Raises:
        NotFound: there is none.
        NameTaken: there is one of this name.
    """
    by, name = principal.within(org_id), clean_name(asked.name, "/name")
    async with transaction(by):
        before = await _locked(org_id)
        by.expects(before)
        try:
            await Organizations.update({"name": name, "name_folded": folded(name)}).where(Organizations.id == org_id)
        except UniqueViolationError:
            raise NameTaken(f"there is an organisation called {name!r} already") from None
        await record(by, "organisation.renamed", org_id, {"name": before.name}, {"name": name})
    return msgspec.structs.replace(before, name=name)


async def set_status(principal: Principal, org_id: UUID, status: Status, edge: Edge, reason: str = "") -> Organisation:
    """Suspend an organisation (nothing of it gets in), or resume it; the audit log keeps the reason.

    Raises:
        NotFound: there is none.
        BadName: the reason is too long, or cannot be printed.
        EdgeDown: the change holds, but Redis did not confirm yet; the worker keeps trying.
    """
    by = principal.within(org_id)
    why = {"reason": clean_name(reason, "/reason")} if reason.strip() else {}
    verb = "organisation.suspended" if status is Status.SUSPENDED else "organisation.resumed"
    async with transaction(by):
        before = await _locked(org_id)
        by.expects(before)
        if before.status is not status:
            await Organizations.update({Organizations.status: status.value}).where(Organizations.id == org_id)
            await record(by, verb, org_id, {"status": before.status}, {"status": status, **why})
        debt = await owe(org_id)
    await project_organisation(org_id, edge)
    await paid(debt)
    return msgspec.structs.replace(before, status=status)


async def remove(principal: Principal, org_id: UUID, edge: Edge) -> None:
    """Remove an organisation with its members, sessions, invites and keys. Usage and audit log stay.

    Raises:
        NotFound: there is none.
        EdgeDown: the change holds, but Redis did not confirm yet; the worker keeps trying.
    """
    by, moment = principal.within(org_id), now()
    async with transaction(by):
        before = await _locked(org_id)
        by.expects(before)
        await Organizations.update({"status": "removed", "removed_at": moment}).where(Organizations.id == org_id)
        await Users.update({"status": "removed", "removed_at": moment}).where(
            (Users.org_id == org_id) & (Users.status != "removed")
        )
        await Invites.update({"closed_at": moment}).where((Invites.org_id == org_id) & Invites.closed_at.is_null())
        await RefreshTokens.update({"revoked_at": moment}).where(
            (RefreshTokens.org_id == org_id) & RefreshTokens.revoked_at.is_null()
        )
        await ApiKeys.update({"revoked_at": moment, "revoked_by": principal.user_id}).where(
            (ApiKeys.org_id == org_id) & ApiKeys.revoked_at.is_null()
        )
        await record(by, "organisation.removed", org_id, before={"name": before.name})
        debt = await owe(org_id)
    await project_organisation(org_id, edge)
    await revoke_keys(Tenant(org_id, before.tag), None, edge)
    await paid(debt)


async def _locked(org_id: UUID) -> Organisation:
    """The organisation, for one change at a time; debts may refer to it meanwhile: who notes one has the log's end."""
    here = (Organizations.id == org_id) & (Organizations.status != "removed")
    row = await Organizations.select().where(here).first().lock_rows("NO KEY UPDATE").output(load_json=True)
    if row is None:
        raise NotFound("no such organisation")
    return msgspec.convert(row, Organisation)

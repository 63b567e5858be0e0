"""Inviting somebody by a link that works once, for one address, for seven days; and accepting it."""

from urllib.parse import quote
from uuid import UUID

import msgspec

from ias.db import EVERYWHERE, transaction, uuid7
from ias.identity.access.domain import Actor, Origin, Principal
from ias.identity.audit.actions import record
from ias.identity.members.actions import AddressTaken, save_new
from ias.identity.members.domain import (
    INVITE_LIFETIME,
    Acceptance,
    CannotGrant,
    Invite,
    InviteForSomebodyElse,
    InviteGone,
    Member,
    NewInvite,
    Role,
)
from ias.identity.members.queries import file_of
from ias.identity.naming import clean_address, clean_name, folded
from ias.identity.sessions.domain import digest, new_secret
from ias.identity.sessions.passwords import hashed
from ias.identity.tables import Invites, Organizations, Users
from ias.problems import FieldError, NotFound, Problem
from ias.settings import settings
from ias.telemetry import now

_OPEN = """
SELECT i.email, i.email_folded, i.org_id FROM identity.invites i JOIN identity.organizations o ON o.id = i.org_id
WHERE i.token_hash = $1 AND i.closed_at IS NULL AND i.expires_at > $2 AND o.status = 'active'
"""


class WhichOrganisation(Problem):
    """A system admin belongs to none and must say which."""

    title = "Organisation missing"


async def invite(principal: Principal, new: NewInvite) -> Invite:
    """Invite an address into an organisation; an open invite for the same address is replaced.

    Raises:
        WhichOrganisation: the caller belongs to none and did not say.
        NotFound: no such organisation, or not the caller's.
        CannotGrant: the role is a system admin's.
        AddressTaken: the address has an account.
    """
    by = principal.within(_organisation(principal, new))
    if new.role is Role.SYSTEM_ADMIN:
        raise CannotGrant("role: system admins are made with `ias-admin bootstrap create-super-admin`, not invited")
    address, token, moment = clean_address(new.email, "/email"), new_secret(), now()
    row = Invites(
        id=uuid7(),
        org_id=by.org_id,
        email=address,
        email_folded=folded(address),
        role=new.role.value,
        token_hash=digest(token),
        invited_by=principal.user_id,
        created_at=moment,
        expires_at=moment + INVITE_LIFETIME,
    )
    await _refuse_known(address)
    async with transaction(by):
        await _lock_active(row.org_id)
        await Invites.update({Invites.closed_at: moment}).where(
            (Invites.org_id == row.org_id) & (Invites.email_folded == row.email_folded) & Invites.closed_at.is_null()
        )
        await row.save()
        await record(by, "user.invited", row.id, after={"email": address, "role": new.role})
        managed = await file_of(row.org_id)
    link = f"{settings().api_url}/accept-invite?token={quote(token)}"
    return msgspec.convert({**row.to_dict(), "token": token, "invite_url": link, "managed_by": managed}, Invite)


async def withdraw(principal: Principal, invite_id: UUID) -> None:
    """Make an invite's link worthless.

    Raises:
        NotFound: there is no such open invite, or it is another organisation's.
    """
    async with transaction(principal):
        row = await Invites.objects().where(Invites.id == invite_id).first().lock_rows("UPDATE")
        foreign = row is not None and row.org_id != principal.org_id and not principal.everywhere
        if row is None or row.closed_at is not None or foreign:
            raise NotFound("no such open invite")
        row.closed_at = now()
        await row.save([Invites.closed_at])
        await record(principal.within(row.org_id), "invite.withdrawn", row.id, before={"email": row.email})


async def accept(sent: Acceptance, origin: Origin) -> Member:
    """Become a member by an invite.

    Raises:
        InviteGone: it was used, replaced or has expired, or its organisation is gone.
        InviteForSomebodyElse: it is for another address than the one given.
        WeakPassword: the password cannot be taken.
        AddressTaken: the address has got an account since.
    """
    name, token_hash = clean_name(sent.name, "/name"), digest(sent.token)
    address, org_id = await _open_address(token_hash, sent.email)
    password = await hashed(sent.password, (address, name))
    async with transaction(EVERYWHERE):
        # The organisation first, as whoever removes it has it: else each of two might wait for the other.
        if not await _is_active(org_id):
            raise InviteGone("this invite's organisation is suspended or gone; ask for a new one")
        row = await Invites.objects().where(Invites.token_hash == token_hash).first().lock_rows("UPDATE")
        if row is None or row.closed_at is not None:
            raise InviteGone("this invite was used already; ask for a new one")
        member = Users(
            org_id=row.org_id,
            email=row.email,
            email_folded=row.email_folded,
            name=name,
            password_hash=password,
            role=row.role,
            created_at=now(),
        )
        await save_new(member)
        row.closed_at = now()
        await row.save([Invites.closed_at])
        by = Actor(user_id=member.id, email=row.email, org_id=row.org_id, origin=origin)
        await record(by, "user.created", member.id, after={"email": row.email, "role": row.role, "invite": row.id})
    return msgspec.convert(member.to_dict(), Member)


def _organisation(principal: Principal, new: NewInvite) -> UUID:
    org_id = new.org_id or principal.org_id
    if org_id is None:
        said = "say into which organisation: you belong to none"
        raise WhichOrganisation(f"org_id: {said}", (FieldError("/org_id", said),))
    return org_id


async def _refuse_known(address: str) -> None:
    """Addresses are unique over all organisations, which a member's own scope does not see."""
    async with transaction(EVERYWHERE):
        if await Users.exists().where((Users.email_folded == folded(address)) & (Users.status != "removed")):
            raise AddressTaken(f"{address} has an account already")


async def _lock_active(org_id: UUID) -> None:
    if not await _is_active(org_id):
        raise NotFound("no such organisation, or it is suspended")


async def _is_active(org_id: UUID) -> bool:
    """Whether anybody may join an organisation, until the end of the transaction."""
    here = (Organizations.id == org_id) & (Organizations.status == "active")
    return bool(await Organizations.select(Organizations.id).where(here).lock_rows("NO KEY UPDATE"))


async def _open_address(token_hash: str, email: str | None) -> tuple[str, UUID]:
    """The address that an open invite is for, and the organisation."""
    async with transaction(EVERYWHERE) as connection:
        row = await connection.fetchrow(_OPEN, token_hash, now())
    if row is None:
        raise InviteGone("this invite was used, replaced or has expired; ask for a new one")
    if email is not None and folded(email.strip()) != row["email_folded"]:
        raise InviteForSomebodyElse("this invite is for another e-mail address")
    return str(row["email"]), row["org_id"]

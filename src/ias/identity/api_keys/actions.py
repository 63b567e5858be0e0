"""Issuing, changing and revoking API keys. What is answered is so at the gateways: Redis has confirmed it."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from uuid import UUID

import msgspec

from ias.contract.keys import display_prefix, fingerprint, mint
from ias.db import Connection, transaction, uuid7
from ias.edge import Edge
from ias.identity.access.domain import Permission, Principal
from ias.identity.access.tokens import NotAuthenticated
from ias.identity.api_keys import queries
from ias.identity.api_keys.domain import (
    ApiKey,
    IssuedKey,
    KeyChanges,
    KeyUse,
    KnownModels,
    NewKey,
    Rotation,
    after_grace,
    changed,
    checked,
    expiry,
)
from ias.identity.audit.actions import record
from ias.identity.naming import clean_name
from ias.identity.projection import Caps, Tenant, key_record, next_version, owe, paid, project_key
from ias.identity.tables import ApiKeys
from ias.problems import NotFound, Problem
from ias.telemetry import now

# Before the key's own row, as whoever removes somebody has them: no key is made that the removal does not see.
_OWNER = "SELECT id FROM identity.users WHERE id = $1 AND status = 'active' FOR SHARE"
_ROTATED = [ApiKeys.expires_at, ApiKeys.revoked_at, ApiKeys.revoked_by, ApiKeys.rotated_at, ApiKeys.meant_until]
_TAG = "SELECT tag FROM identity.organizations WHERE id = $1"


class KeyBooks(msgspec.Struct, frozen=True):
    """What other contexts know of keys, and do for them.

    Attributes:
        count: has what these keys use be counted from their first token of this month on; then they can have a cap.
    """

    use: KeyUse
    models: KnownModels
    count: Callable[[Tenant, Caps], Awaitable[None]]


class SystemAdminsHoldNoKeys(Problem):
    """Keys belong to members of an organisation."""

    status = 403
    title = "System admins hold no keys"


async def issue(principal: Principal, new: NewKey, edge: Edge, known: KnownModels) -> IssuedKey:
    """Issue a key for the caller.

    Raises:
        SystemAdminsHoldNoKeys: the caller belongs to no organisation.
        UnknownModels: it is to call no models, or such as the organisation may not call.
        EdgeDown: Redis did not confirm; the key does not work and its token is lost.
    """
    if principal.org_id is None:
        raise SystemAdminsHoldNoKeys("you belong to no organisation; log in as one of its members")
    token = mint(principal.org_tag)
    key = IssuedKey(
        id=uuid7(),
        org_id=principal.org_id,
        user_id=principal.user_id,
        label=clean_name(new.label, "/label"),
        prefix=display_prefix(token),
        created_at=now(),
        expires_at=expiry(new.expires_at, now()),
        models=checked(new.models, await known(principal.org_id) if new.models else ()),
        monthly_tokens=new.monthly_tokens,
        token=token,
    )
    async with transaction(principal) as connection:
        await _hold_owner(connection, principal)
        version = await next_version()
        row = _row(key)
        await row.save()
        said = {"label": key.label, "expires_at": key.expires_at, **_rules(key)}
        await record(principal, "key.issued", key.id, after=said)
        debt = await owe(key.org_id)
    await edge.grant(principal.org_tag, key_record(row.to_dict()), version)
    await paid(debt)
    return key


async def rotate(principal: Principal, key_id: UUID, asked: Rotation, edge: Edge) -> IssuedKey:
    """Issue a key like this one, which ends after the grace period; the new one expires when the old one would have.

    That holds of a second time too, as where the first one's answer was lost: the grace period is not handed on.

    Raises:
        NotFound: it is not the caller's own key.
        KeyRevoked: it has ended already.
        NotAuthenticated: the caller was removed or suspended meanwhile.
        EdgeDown: Redis did not confirm; the new key does not work, its token is lost, and the old one ends as asked.
    """
    moment, token = now(), mint(principal.org_tag)
    async with transaction(principal) as connection:
        await _hold_owner(connection, principal)
        old = await ApiKeys.objects().where(ApiKeys.id == key_id).first().lock_rows("UPDATE")
        if old is None or old.user_id != principal.user_id:
            raise NotFound("no such API key of yours")
        before = msgspec.convert(old.to_dict(), ApiKey)
        principal.expects(before)
        if old.rotated_at is None:
            old.rotated_at, old.meant_until = moment, before.expires_at
        old.expires_at = after_grace(before, asked.grace_s, moment)
        if not asked.grace_s:
            old.revoked_at, old.revoked_by = moment, principal.user_id
        await old.save(_ROTATED)
        key = _successor(before, token, moment, old.meant_until)
        new = _row(key)
        await new.save()
        ending = {"expires_at": old.expires_at, "successor": key.id}
        await record(principal, "key.rotated", key_id, {"expires_at": before.expires_at}, ending)
        debt = await owe(key.org_id)
        version = await next_version()
    await edge.grant(principal.org_tag, key_record(new.to_dict()), version)
    # With a ticket that is drawn after the commit: whoever drew one before may have read the old key as it was.
    await project_key(Tenant(key.org_id, principal.org_tag), key_id, edge)
    await paid(debt)
    return key


async def change(principal: Principal, key_id: UUID, asked: KeyChanges, edge: Edge, books: KeyBooks) -> ApiKey:
    """Change a key's rules; gateways go by them when this returns.

    Raises:
        NotFound: it is not the caller's own, nor of an organisation whose keys they may revoke.
        KeyRevoked: it has ended already.
        UnknownModels: it is to call no models, or further ones, which the organisation may not call.
        EdgeDown: the change holds, but Redis does not know of it yet; the worker keeps trying.
    """
    seen = await queries.one(principal, key_id)
    known = await books.models(seen.org_id) if asked.models else []
    async with transaction(principal) as connection:
        row = await _locked(principal, key_id)
        before = msgspec.convert(row.to_dict(), ApiKey)
        principal.expects(before)
        after = changed(before, asked, known, now())
        was, is_now = _rules(before), _rules(after)
        rules = ApiKeys.update({ApiKeys.models: after.models, ApiKeys.monthly_tokens: after.monthly_tokens})
        await rules.where(ApiKeys.id == key_id)
        named = [rule for rule in was if was[rule] != is_now[rule]]
        told = ({rule: of[rule] for rule in named} for of in (was, is_now))
        await record(principal.within(row.org_id), "key.changed", key_id, *told)
        debt = await owe(row.org_id)
        org = Tenant(row.org_id, await connection.fetchval(_TAG, row.org_id))
    if before.monthly_tokens is None and after.monthly_tokens is not None:
        await books.count(org, {str(key_id): row.fingerprint})
    await project_key(org, key_id, edge)
    await paid(debt)
    return after


async def revoke(principal: Principal, key_id: UUID, edge: Edge) -> ApiKey:
    """Turn a key away from now on; a second time changes nothing, but makes sure of Redis again.

    Raises:
        NotFound: it is not the caller's own, nor of an organisation whose keys they may revoke.
        EdgeDown: Redis did not confirm yet; the worker keeps trying, and so may the caller.
    """
    async with transaction(principal):
        row = await _locked(principal, key_id)
        if msgspec.convert(row.to_dict(), ApiKey).revoked_at is None:
            row.revoked_at, row.revoked_by = now(), principal.user_id
            await row.save([ApiKeys.revoked_at, ApiKeys.revoked_by])
            await record(principal.within(row.org_id), "key.revoked", key_id, before={"label": row.label})
        debt = await owe(row.org_id)
    async with transaction(principal) as connection:
        version = await next_version()
        tag = await connection.fetchval(_TAG, row.org_id)
    await edge.revoke(tag, key_record(row.to_dict()), version)
    await paid(debt)
    return msgspec.convert(row.to_dict(), ApiKey)


async def _hold_owner(connection: Connection, principal: Principal) -> None:
    """See to it that nobody removes the caller until the transaction ends."""
    if await connection.fetchval(_OWNER, principal.user_id) is None:
        raise NotAuthenticated("this session has ended; log in again")


def _successor(before: ApiKey, token: str, moment: datetime, expires_at: datetime | None) -> IssuedKey:
    fields = msgspec.structs.asdict(before)
    fields |= {"id": uuid7(), "prefix": display_prefix(token), "created_at": moment, "expires_at": expires_at}
    return IssuedKey(**fields, token=token)


def _row(key: IssuedKey) -> ApiKeys:
    return ApiKeys(
        id=key.id,
        org_id=key.org_id,
        user_id=key.user_id,
        label=key.label,
        prefix=key.prefix,
        fingerprint=fingerprint(key.token),
        created_at=key.created_at,
        expires_at=key.expires_at,
        models=key.models,
        monthly_tokens=key.monthly_tokens,
    )


def _rules(key: ApiKey) -> dict[str, object]:
    return {"models": key.models, "monthly_tokens": key.monthly_tokens}


async def _locked(principal: Principal, key_id: UUID) -> ApiKeys:
    row: ApiKeys | None = await ApiKeys.objects().where(ApiKeys.id == key_id).first().lock_rows("UPDATE")
    if row is None or not _may_change(principal, row):
        raise NotFound("no such API key")
    return row


def _may_change(principal: Principal, row: ApiKeys) -> bool:
    if principal.everywhere:
        return True
    if row.org_id != principal.org_id:
        return False
    return row.user_id == principal.user_id or principal.may(Permission.KEYS_ANY)

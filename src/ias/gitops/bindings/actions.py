"""Binding organisations to repositories, leaving Git aside for a while, letting through what is held."""

import hmac
from collections.abc import Iterator
from typing import cast
from uuid import UUID

import msgspec

from ias.db import Connection, Within, transaction
from ias.gitops.bindings.domain import (
    Approval,
    NewBinding,
    NothingHeld,
    NotManaged,
    NotSigned,
    Status,
    Suspension,
    check_suspension,
)
from ias.gitops.bindings.queries import status, within_known
from ias.gitops.repositories import registry
from ias.gitops.repositories.credentials import Credential, check
from ias.gitops.repositories.domain import BadRepository, check_branch, check_name
from ias.identity import names, record, say_managed, say_suspended
from ias.identity.values import Principal
from ias.problems import BadRequest
from ias.settings import settings
from ias.telemetry import now

_BIND = """
INSERT INTO gitops.bindings (org_id, repository_id, enabled_by, enabled_by_email) VALUES ($1, $2, $3, $4)
ON CONFLICT (org_id) DO UPDATE SET repository_id = excluded.repository_id, enabled_by = excluded.enabled_by,
    enabled_by_email = excluded.enabled_by_email, enabled_at = now(), state = 'waiting', commit_seen = '',
    blob_seen = '', applied_commit = '', applied_blob = '', applied = NULL, applied_lines = NULL, offered = NULL,
    offered_lines = NULL, faults = '[]', held_for = '[]', approved_commit = ''
"""
_UNBIND = "DELETE FROM gitops.bindings WHERE org_id = $1"
_SUSPEND = """
UPDATE gitops.bindings SET suspended_until = $2, suspended_reason = $3, suspended_by = $4 WHERE org_id = $1
"""
_RESUME = (
    "UPDATE gitops.bindings SET suspended_until = NULL, suspended_reason = '', suspended_by = '' WHERE org_id = $1"
)
_APPROVE = """
UPDATE gitops.bindings SET approved_commit = $2, approved_by = $3
WHERE org_id = $1 AND state = 'held' AND commit_seen = $2
"""
_FACTS = """
SELECT r.url AS repository, r.branch, b.suspended_until AS until, b.suspended_reason AS reason,
    b.approved_commit AS commit
FROM gitops.bindings b JOIN gitops.repositories r ON r.id = b.repository_id WHERE b.org_id = $1
"""
_REPOSITORY = "SELECT repository_id FROM gitops.bindings WHERE org_id = $1 FOR UPDATE"


async def enable(principal: Principal, org_id: UUID, new: NewBinding) -> Status:
    """Bind an organisation to a repository; a worker puts its policy into force within seconds.

    Raises:
        NotFound: there is no such organisation.
        BadRepository: nothing is fetched from there, or no folder can have the organisation's name.
        BadCredential: what is to open it cannot.
    """
    by = await within_known(principal, org_id, removed_too=False)
    at, branch = registry.taken(new.repository), check_branch(new.branch)
    credential = check(Credential(new.token, new.ssh_key, new.known_hosts), at.transport)
    check_name((await names([org_id]))[org_id])
    async with transaction(principal) as connection:
        # As every other verb does: the binding first, then its repository.
        left: UUID | None = await connection.fetchval(_REPOSITORY, org_id)
        before = await _facts(connection, org_id, "repository", "branch")
        repository_id = await registry.keep(connection, at, branch, credential)
        await connection.execute(_BIND, org_id, repository_id, principal.user_id, principal.email)
        if left is not None:
            await registry.forget_unbound(connection, [left])
            # Nothing is in force until it is read again, so that no file puts back what is changed elsewhere.
            await say_managed(connection, org_id, None)
        await record(by, "gitops.enabled", org_id, before or None, {"repository": at.url, "branch": branch})
    return await status(principal, org_id)


async def disable(principal: Principal, org_id: UUID) -> None:
    """Leave an organisation to the API; everything stays as it is.

    Raises:
        NotManaged: it is not bound.
    """
    by = await within_known(principal, org_id, removed_too=False)
    async with transaction(principal) as connection:
        left = await _bound(connection, org_id)
        before = await _facts(connection, org_id, "repository", "branch")
        await connection.execute(_UNBIND, org_id)
        await registry.forget_unbound(connection, [left])
        await say_managed(connection, org_id, None)
        await record(by, "gitops.disabled", org_id, before)


async def sync(principal: Principal, org_id: UUID) -> Status:
    """Have a worker look at the repository now.

    Raises:
        NotFound: it is not the caller's organisation.
        NotManaged: it is not bound.
    """
    scope = await within_known(principal, org_id, removed_too=False)
    async with transaction(Within(org_id)) as connection:
        await registry.look_now(connection, await _bound(connection, org_id))
    return await status(scope, org_id)


async def suspend(principal: Principal, org_id: UUID, asked: Suspension) -> Status:
    """Leave Git aside for a while: an emergency is mended by the API, and not put back.

    Raises:
        NotManaged: it is not bound.
        BadSuspension: it is for ever, or says no reason.
    """
    by = await within_known(principal, org_id, removed_too=False)
    check_suspension(asked, now())
    async with transaction(by) as connection:
        await _bound(connection, org_id)
        before = await _facts(connection, org_id, "until", "reason")
        await connection.execute(_SUSPEND, org_id, asked.until, asked.reason.strip(), principal.email)
        await say_suspended(connection, org_id, asked.until, asked.reason.strip())
        await record(by, "gitops.suspended", org_id, before, {"until": asked.until, "reason": asked.reason})
    return await status(principal, org_id)


async def resume(principal: Principal, org_id: UUID) -> Status:
    """Go by Git again.

    Raises:
        NotManaged: it is not bound.
    """
    by = await within_known(principal, org_id, removed_too=False)
    async with transaction(by) as connection:
        repository_id = await _bound(connection, org_id)
        before = await _facts(connection, org_id, "until", "reason")
        await connection.execute(_RESUME, org_id)
        await registry.look_now(connection, repository_id)
        await say_suspended(connection, org_id, None, "")
        await record(by, "gitops.resumed", org_id, before, {"until": None, "reason": ""})
    return await status(principal, org_id)


async def approve(principal: Principal, org_id: UUID, asked: Approval) -> Status:
    """Let a commit through that is held.

    Raises:
        NotManaged: it is not bound.
        NothingHeld: this commit is not held; a newer one may be.
    """
    by = await within_known(principal, org_id, removed_too=False)
    async with transaction(by) as connection:
        repository_id = await _bound(connection, org_id)
        before = await _facts(connection, org_id, "commit")
        done = await connection.execute(_APPROVE, org_id, asked.commit, principal.email)
        if not done.endswith(" 1"):
            raise NothingHeld("this commit is not held; look at the status for the one that is")
        await registry.look_now(connection, repository_id)
        await record(by, "gitops.approved", org_id, before, {"commit": asked.commit})
    return await status(principal, org_id)


async def hooked(body: bytes, signature: str) -> int:
    """A Git host says that something was pushed; answers how many repositories are looked at for it.

    Raises:
        NotSigned: the body is not signed with the platform's secret, or there is none.
        BadRequest: the body names no repository.
    """
    secret = settings().gitops_webhook_secret.get_secret_value()
    made = hmac.new(secret.encode(), body, "sha256").hexdigest()
    if not secret or not hmac.compare_digest(signature.removeprefix("sha256=").encode(), made.encode()):
        raise NotSigned("X-Hub-Signature-256 is not the HMAC-SHA256 of this body with IAS_GITOPS_WEBHOOK_SECRET")
    try:
        pushed = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise BadRequest("the body is not JSON") from None
    urls = sorted(set(_urls(pushed)))
    if not urls:
        raise BadRequest("the body names no repository: repository.clone_url, ssh_url or git_ssh_url")
    return await registry.look_soon_at(urls)


def _urls(pushed: object) -> Iterator[str]:
    """The addresses of the repository by the names that GitHub, GitLab and Gitea have for them, as they are stored."""
    about = pushed.get("repository") if isinstance(pushed, dict) else None
    for name in ("clone_url", "ssh_url", "html_url", "git_http_url", "git_ssh_url"):
        url = cast("dict[str, object]", about).get(name) if isinstance(about, dict) else None
        if isinstance(url, str):
            try:
                yield registry.taken(url).url
            except BadRepository:
                continue


async def _facts(connection: Connection, org_id: UUID, *names: str) -> dict[str, object]:
    """What the audit log says of a binding; nothing where there is none."""
    row = await connection.fetchrow(_FACTS, org_id)
    return {} if row is None else {name: row[name] for name in names}


async def _bound(connection: Connection, org_id: UUID) -> UUID:
    repository_id: UUID | None = await connection.fetchval(_REPOSITORY, org_id)
    if repository_id is None:
        raise NotManaged("this organisation is not managed by Git; `gitops enable` binds it to a repository")
    return repository_id

"""Writing the audit log, in the transaction of the change itself."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from ias.identity.access.domain import By
from ias.identity.audit.domain import masked
from ias.identity.tables import AuditLog
from ias.telemetry import now

Recorded = tuple[UUID | None, Mapping[str, object] | None, Mapping[str, object] | None]
"""What was changed, and its fields before and after."""

_ENCODER = msgspec.json.Encoder(enc_hook=str)


async def record(
    by: By,
    action: str,
    target_id: UUID | None,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    """Add an entry, to be called inside the transaction that makes the change.

    `action` is `noun.verb`; `before` and `after` hold the fields that changed, never a secret. The entry belongs to
    `by.org_id`: a system admin who acts in an organisation does so as `principal.within(org_id)`.
    """
    await record_all(by, action, [(target_id, before, after)])


async def record_all(by: By, action: str, changes: Sequence[Recorded]) -> None:
    """Add an entry for each of several things that were changed alike, in one statement."""
    moment = now()
    rows = [
        AuditLog(
            org_id=by.org_id,
            actor_id=by.user_id,
            actor=by.email,
            action=action,
            target_id=target_id,
            before=_json(before),
            after=_json(after),
            source=by.origin.source.value,
            request_id=by.origin.request_id,
            created_at=moment,
        )
        for target_id, before, after in changes
    ]
    await AuditLog.insert(*rows)


def _json(fields: Mapping[str, object] | None) -> str | None:
    return None if fields is None else _ENCODER.encode(masked(fields)).decode()

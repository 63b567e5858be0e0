"""The face of identity: organisations, members, sessions, keys, audit."""

from typing import TYPE_CHECKING

from ias.faces import opened

if TYPE_CHECKING:
    from ias.identity.access.domain import Actor, Origin, Permission, Principal, Source
    from ias.identity.access.guards import PUBLIC, requires
    from ias.identity.api_keys.queries import own_caps
    from ias.identity.audit.actions import record, record_all
    from ias.identity.orgs.domain import Prepare
    from ias.identity.projection import (
        Caps,
        Debt,
        Tenant,
        capped,
        debts,
        everyone,
        is_member,
        names,
        next_version,
        owe,
        paid,
        project_keys,
        project_organisation,
        revoke_keys,
        tags,
        tenant,
        tenants,
    )
    from ias.identity.roster.actions import describe, dismiss, expect_person, regrade, say_managed, say_suspended
    from ias.identity.roster.queries import deeds, expected, hold_organisation, managed_by, rosters
else:
    __getattr__ = opened(__name__, __file__)

__all__ = [
    "PUBLIC",
    "Actor",
    "Caps",
    "Debt",
    "Origin",
    "Permission",
    "Prepare",
    "Principal",
    "Source",
    "Tenant",
    "capped",
    "debts",
    "deeds",
    "describe",
    "dismiss",
    "everyone",
    "expect_person",
    "expected",
    "hold_organisation",
    "is_member",
    "managed_by",
    "names",
    "next_version",
    "owe",
    "own_caps",
    "paid",
    "project_keys",
    "project_organisation",
    "record",
    "record_all",
    "regrade",
    "requires",
    "revoke_keys",
    "rosters",
    "say_managed",
    "say_suspended",
    "tags",
    "tenant",
    "tenants",
]

"""The face of identity: organisations, members, sessions, keys, audit."""

from typing import TYPE_CHECKING

from ias.faces import opened

if TYPE_CHECKING:
    from ias.identity.access.domain import Actor, Origin, Permission, Principal, Source
    from ias.identity.access.guards import PUBLIC, requires
    from ias.identity.api_keys.actions import KeyBooks
    from ias.identity.api_keys.domain import ApiKey
    from ias.identity.api_keys.queries import key_labels, own_caps
    from ias.identity.audit.actions import record, record_all
    from ias.identity.members.queries import addresses
    from ias.identity.orgs.domain import Prepare
    from ias.identity.outline.queries import newest_keys, outline_of, platform_outline
    from ias.identity.playground.holding import held_key
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
        removed_users,
        revoke_keys,
        tags,
        tenant,
        tenants,
    )
    from ias.identity.roster.actions import describe, dismiss, expect_person, regrade, say_managed, say_suspended
    from ias.identity.roster.queries import deeds, expected, hold_organisation, hold_people, managed_by, rosters
else:
    __getattr__ = opened(__name__, __file__)

__all__ = [
    "PUBLIC",
    "Actor",
    "ApiKey",
    "Caps",
    "Debt",
    "KeyBooks",
    "Origin",
    "Permission",
    "Prepare",
    "Principal",
    "Source",
    "Tenant",
    "addresses",
    "capped",
    "debts",
    "deeds",
    "describe",
    "dismiss",
    "everyone",
    "expect_person",
    "expected",
    "held_key",
    "hold_organisation",
    "hold_people",
    "is_member",
    "key_labels",
    "managed_by",
    "names",
    "newest_keys",
    "next_version",
    "outline_of",
    "owe",
    "own_caps",
    "paid",
    "platform_outline",
    "project_keys",
    "project_organisation",
    "record",
    "record_all",
    "regrade",
    "removed_users",
    "requires",
    "revoke_keys",
    "rosters",
    "say_managed",
    "say_suspended",
    "tags",
    "tenant",
    "tenants",
]

"""The face of identity: organisations, members, sessions, keys, audit."""

from typing import TYPE_CHECKING

from ias.faces import opened

if TYPE_CHECKING:
    from ias.identity.access.domain import Actor, Origin, Permission, Principal, Source
    from ias.identity.access.guards import PUBLIC, requires
    from ias.identity.audit.actions import record
    from ias.identity.orgs.domain import Prepare
    from ias.identity.projection import (
        Debt,
        Tenant,
        debts,
        everyone,
        is_member,
        names,
        next_version,
        owe,
        paid,
        project_keys,
        project_organisation,
        tags,
        tenant,
        tenants,
    )
else:
    __getattr__ = opened(__name__, __file__)

__all__ = [
    "PUBLIC",
    "Actor",
    "Debt",
    "Origin",
    "Permission",
    "Prepare",
    "Principal",
    "Source",
    "Tenant",
    "debts",
    "everyone",
    "is_member",
    "names",
    "next_version",
    "owe",
    "paid",
    "project_keys",
    "project_organisation",
    "record",
    "requires",
    "tags",
    "tenant",
    "tenants",
]

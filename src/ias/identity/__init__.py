"""The face of identity: organisations, members, sessions, keys, audit."""

from ias.identity.access.domain import Actor, Origin, Permission, Principal, Source
from ias.identity.access.guards import PUBLIC, requires
from ias.identity.audit.actions import record
from ias.identity.orgs.domain import Prepare
from ias.identity.projection import (
    Debt,
    Tenant,
    debts,
    next_version,
    owe,
    paid,
    project_keys,
    project_organisation,
    tenant,
    tenants,
)

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
    "next_version",
    "owe",
    "paid",
    "project_keys",
    "project_organisation",
    "record",
    "requires",
    "tenant",
    "tenants",
]

"""The values of identity that others compute with: nothing here reads or writes anything."""

from ias.identity.access.domain import Origin, Principal, Source
from ias.identity.members.domain import MemberFigures, Role
from ias.identity.naming import clean_address, folded
from ias.identity.orgs.domain import ManagedBy, OrgFigures
from ias.identity.outline.domain import Outline, PlatformOutline
from ias.identity.roster.domain import About, Deed, Expected, Person, Roster, Standing

__all__ = [
    "About",
    "Deed",
    "Expected",
    "ManagedBy",
    "MemberFigures",
    "OrgFigures",
    "Origin",
    "Outline",
    "Person",
    "PlatformOutline",
    "Principal",
    "Role",
    "Roster",
    "Source",
    "Standing",
    "clean_address",
    "folded",
]

"""What the processes mount of identity."""

from litestar.di import Provide

from ias.console.navigation import Area, Entry
from ias.identity.access.guards import PUBLIC, Authentication, PermissionMissing, provide_origin, provide_principal
from ias.identity.access.queries import OrganisationSuspended
from ias.identity.access.tokens import NotAuthenticated
from ias.identity.api_keys import examples as keys
from ias.identity.api_keys.actions import KeyBooks
from ias.identity.api_keys.api import KeyApi
from ias.identity.api_keys.pages import KeyPages
from ias.identity.audit import examples as audit
from ias.identity.audit.api import AuditApi
from ias.identity.audit.pages import AuditPages, PlatformAuditPages
from ias.identity.browsers import door
from ias.identity.browsers.door import Browsers, sent_from_here
from ias.identity.browsers.pages import EntryPages, FirstPages
from ias.identity.members import examples as members
from ias.identity.members.api import MemberApi
from ias.identity.members.pages import MemberPages, OneMemberPages
from ias.identity.orgs import examples as orgs
from ias.identity.orgs.api import OrganisationApi
from ias.identity.orgs.pages import AdministrationPages, OrganisationPages
from ias.identity.playground.pages import PlaygroundKeyPages
from ias.identity.repeats.actions import forget_repeats
from ias.identity.repeats.domain import BadIdempotencyKey, KeyReused, OutcomeUnknown, StillUnderWay
from ias.identity.repeats.door import Repeats
from ias.identity.sessions import examples as sessions
from ias.identity.sessions.actions import forget_sessions
from ias.identity.sessions.api import AuthApi, MeApi, PasswordApi
from ias.identity.sessions.pages import MePages

__all__ = [
    "EXAMPLES",
    "GUARDED",
    "LOGGED_IN",
    "NAVIGATION",
    "PUBLIC",
    "REPEATED",
    "TAGS",
    "TEXTS",
    "Authentication",
    "Browsers",
    "KeyBooks",
    "Repeats",
    "controllers",
    "dependencies",
    "forget_repeats",
    "forget_sessions",
    "page_dependencies",
    "pages",
    "sent_from_here",
]

controllers = (AuthApi, MeApi, OrganisationApi, MemberApi, PasswordApi, KeyApi, AuditApi)

dependencies = {
    "principal": Provide(provide_principal, sync_to_thread=False),
    "origin": Provide(provide_origin, sync_to_thread=False),
}

pages = (
    EntryPages,
    FirstPages,
    MePages,
    KeyPages,
    MemberPages,
    OneMemberPages,
    OrganisationPages,
    AdministrationPages,
    AuditPages,
    PlatformAuditPages,
    PlaygroundKeyPages,
)

page_dependencies = {
    "form": Provide(door.provide_form),
    "principal": Provide(door.provide_principal),
    "origin": Provide(door.provide_origin, sync_to_thread=False),
    "visit": Provide(door.provide_visit),
}

NAVIGATION = (
    Entry("API keys", "/orgs/{org_id}/keys", "key-round", "keys:read", place=10),
    Entry("Members", "/orgs/{org_id}/members", "users", "members:read", place=40),
    Entry("Audit log", "/orgs/{org_id}/audit", "scroll-text", "audit:read", place=60),
    Entry("Administration", "/orgs/{org_id}/administration", "settings", "organisations:write", place=90),
    Entry("Organisations", "/orgs", "building-2", "organisations:any", place=0, area=Area.PLATFORM),
    Entry("Audit log", "/audit", "scroll-text", "organisations:any", place=30, area=Area.PLATFORM),
)

# What the document says of the routes.
TAGS = {
    "auth": "Sessions, and one's own account.",
    "organizations": "Organisations: their budgets, limits, models and alerts.",
    "users": "Members of organisations, and invites.",
    "keys": "API keys, which the gateway is called with.",
    "audit": "Who did what.",
}
EXAMPLES = (*sessions.EXAMPLES, *orgs.EXAMPLES, *members.EXAMPLES, *keys.EXAMPLES, *audit.EXAMPLES)
TEXTS = audit.TEXTS
LOGGED_IN = (NotAuthenticated, OrganisationSuspended)
GUARDED = (PermissionMissing,)
REPEATED = (BadIdempotencyKey, KeyReused, OutcomeUnknown, StillUnderWay)

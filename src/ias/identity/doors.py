"""What the processes mount of identity."""

from litestar.di import Provide

from ias.identity.access.guards import PUBLIC, Authentication, PermissionMissing, provide_origin, provide_principal
from ias.identity.access.queries import OrganisationSuspended
from ias.identity.access.tokens import NotAuthenticated
from ias.identity.api_keys import examples as keys
from ias.identity.api_keys.actions import KeyBooks
from ias.identity.api_keys.api import KeyApi
from ias.identity.audit import examples as audit
from ias.identity.audit.api import AuditApi
from ias.identity.members import examples as members
from ias.identity.members.api import MemberApi
from ias.identity.orgs import examples as orgs
from ias.identity.orgs.api import OrganisationApi
from ias.identity.repeats.actions import forget_repeats
from ias.identity.repeats.domain import BadIdempotencyKey, KeyReused, OutcomeUnknown, StillUnderWay
from ias.identity.repeats.door import Repeats
from ias.identity.sessions import examples as sessions
from ias.identity.sessions.actions import forget_sessions
from ias.identity.sessions.api import AuthApi, MeApi, PasswordApi

__all__ = [
    "EXAMPLES",
    "GUARDED",
    "LOGGED_IN",
    "PUBLIC",
    "REPEATED",
    "TAGS",
    "TEXTS",
    "Authentication",
    "KeyBooks",
    "Repeats",
    "controllers",
    "dependencies",
    "forget_repeats",
    "forget_sessions",
]

controllers = (AuthApi, MeApi, OrganisationApi, MemberApi, PasswordApi, KeyApi, AuditApi)

dependencies = {
    "principal": Provide(provide_principal, sync_to_thread=False),
    "origin": Provide(provide_origin, sync_to_thread=False),
}

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

"""What the processes mount of identity."""

from litestar.di import Provide

from ias.identity.access.guards import PUBLIC, Authentication, provide_origin, provide_principal
from ias.identity.api_keys.api import KeyApi
from ias.identity.audit.api import AuditApi
from ias.identity.members.api import MemberApi
from ias.identity.orgs.api import OrganisationApi
from ias.identity.repeats.actions import forget_repeats
from ias.identity.repeats.door import Repeats
from ias.identity.sessions.actions import forget_sessions
from ias.identity.sessions.api import AuthApi, MeApi, PasswordApi

__all__ = ["PUBLIC", "Authentication", "Repeats", "controllers", "dependencies", "forget_repeats", "forget_sessions"]

controllers = (AuthApi, MeApi, OrganisationApi, MemberApi, PasswordApi, KeyApi, AuditApi)

dependencies = {
    "principal": Provide(provide_principal, sync_to_thread=False),
    "origin": Provide(provide_origin, sync_to_thread=False),
}

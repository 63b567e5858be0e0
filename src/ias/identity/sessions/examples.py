"""What the API's document shows of sessions and of one's own account."""

# ruff: noqa: S106 - examples, not secrets

from ias import acme
from ias.identity.sessions.domain import (
    Credentials,
    LiveSession,
    Me,
    PasswordChange,
    PasswordReset,
    Profile,
    RefreshToken,
    Session,
)

_REFRESH = "pT6mVb0Qx3nZr8KfLw1YcJd9SgHu5eAi2RoXtN7kUvE"

EXAMPLES = (
    Credentials(email=acme.ADAS_ADDRESS, password="Correct-horse-7-battery!"),
    LiveSession(
        id=acme.SESSION,
        begun_at=acme.CREATED,
        seen_at=acme.LATER,
        browser=True,
        agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        current=True,
    ),
    Me(
        id=acme.ADA,
        email=acme.ADAS_ADDRESS,
        name="Ada Lovelace",
        role="org-admin",
        org_id=acme.ORGANISATION,
        org_name="Acme Research",
        permissions=["audit:read", "budgets:read", "keys:create", "members:read", "usage:read"],
    ),
    PasswordChange(current_password="Correct-horse-7-battery!", new_password="Another-horse-8-battery!"),
    PasswordReset(new_password="Another-horse-8-battery!"),
    Profile(name="Ada Lovelace"),
    RefreshToken(refresh_token=_REFRESH),
    Session(
        access_token="eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIwMTkwYTNhMSJ9.c2lnbmF0dXJl",
        refresh_token=_REFRESH,
        expires_in=3600,
    ),
)

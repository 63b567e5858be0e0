"""What the API's document shows of members and invites."""

from datetime import timedelta

import msgspec

from ias import acme
from ias.identity.members.domain import Acceptance, Invite, Member, MemberChange, NewInvite, OpenInvite, Role, Status

_INVITE = OpenInvite(
    id=acme.SESSION,
    org_id=acme.ORGANISATION,
    email=acme.GRACES_ADDRESS,
    role=Role.ORG_USER,
    invited_by=acme.ADA,
    created_at=acme.CREATED,
    expires_at=acme.CREATED + timedelta(days=7),
)
_TOKEN = "kq2Vn0cTf7yJwR4uXzB9sLhP1mDgE6aK8iOoQvYtN3S"  # noqa: S105 - an example

EXAMPLES = (
    Acceptance(token=_TOKEN, name="Grace Hopper", password="Correct-horse-7-battery!", email=acme.GRACES_ADDRESS),  # noqa: S106 - an example
    Invite(
        **msgspec.structs.asdict(_INVITE),
        token=_TOKEN,
        invite_url=f"https://ias.acme.example/accept-invite?token={_TOKEN}",
    ),
    Member(
        id=acme.GRACE,
        org_id=acme.ORGANISATION,
        email=acme.GRACES_ADDRESS,
        name="Grace Hopper",
        role=Role.ORG_USER,
        status="active",
        created_at=acme.CREATED,
    ),
    MemberChange(role=Role.ORG_ADMIN, status=Status.ACTIVE),
    NewInvite(email=acme.GRACES_ADDRESS, role=Role.ORG_USER),
    _INVITE,
)

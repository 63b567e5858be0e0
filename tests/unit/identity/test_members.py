"""Changes of members: what changes, what nobody may grant, and when an admin is lost."""

from datetime import UTC, datetime
from uuid import uuid4

import pytest

from ias.identity.members.domain import CannotGrant, Member, MemberChange, Role, Status, changed, loses_admin


def member(role: Role = Role.ORG_ADMIN, status: str = "active") -> Member:
    return Member(
        id=uuid4(),
        org_id=None if role is Role.SYSTEM_ADMIN else uuid4(),
        email="ada@example.org",
        name="Ada",
        role=role,
        status=status,
        created_at=datetime.now(UTC),
    )


def test_only_what_really_changes_is_written() -> None:
    assert changed(member(), MemberChange()) == {}
    assert changed(member(), MemberChange(name="Ada", role=Role.ORG_ADMIN, status=Status.ACTIVE)) == {}
    assert changed(member(), MemberChange(name="Bea", role=Role.ORG_USER)) == {"name": "Bea", "role": "org-user"}
    assert changed(member(), MemberChange(status=Status.SUSPENDED)) == {"status": "suspended"}


@pytest.mark.parametrize(
    ("before", "asked"),
    [(Role.ORG_ADMIN, Role.SYSTEM_ADMIN), (Role.ORG_USER, Role.SYSTEM_ADMIN), (Role.SYSTEM_ADMIN, Role.ORG_USER)],
)
def test_nobody_becomes_or_ceases_to_be_a_system_admin(before: Role, asked: Role) -> None:
    with pytest.raises(CannotGrant) as refused:
        changed(member(before), MemberChange(role=asked))
    assert refused.value.status == 403


def test_a_system_admin_may_still_be_renamed() -> None:
    assert changed(member(Role.SYSTEM_ADMIN), MemberChange(name="Bea")) == {"name": "Bea"}


@pytest.mark.parametrize("new", [{"role": "org-user"}, {"status": "suspended"}, {"status": "removed"}])
@pytest.mark.parametrize("role", [Role.ORG_ADMIN, Role.SYSTEM_ADMIN])
def test_demoting_suspending_or_removing_an_active_admin_loses_one(role: Role, new: dict[str, str]) -> None:
    assert loses_admin(member(role), new)


def test_renaming_an_admin_loses_nothing() -> None:
    assert not loses_admin(member(), {"name": "Bea"})


def test_a_user_or_a_suspended_admin_cannot_be_lost_as_an_admin() -> None:
    assert not loses_admin(member(Role.ORG_USER), {"status": "removed"})
    assert not loses_admin(member(status="suspended"), {"status": "removed"})

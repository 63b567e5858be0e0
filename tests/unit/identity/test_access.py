"""Principals: what they may do, and where."""

from uuid import UUID, uuid4

import pytest

from ias.identity.access.domain import Actor, Origin, Permission, Principal, Source, known
from ias.problems import NotFound


def principal(org_id: UUID | None, *permissions: Permission) -> Principal:
    return Principal(
        user_id=uuid4(),
        email="ada@example.org",
        org_id=org_id,
        org_tag="AbCd1234" if org_id else "",
        permissions=frozenset(permissions),
        session_id=uuid4(),
    )


def test_a_principal_may_do_what_their_role_allows_and_nothing_else() -> None:
    ada = principal(uuid4(), Permission.KEYS_CREATE)
    assert ada.may(Permission.KEYS_CREATE)
    assert not ada.may(Permission.KEYS_ANY)


def test_a_member_acts_in_their_own_organisation() -> None:
    own = uuid4()
    ada = principal(own, Permission.ORGANISATIONS_READ)
    assert ada.within(own).org_id == own
    assert not ada.everywhere


def test_a_foreign_organisation_is_not_found_rather_than_forbidden() -> None:
    with pytest.raises(NotFound) as refused:
        principal(uuid4(), Permission.ORGANISATIONS_READ).within(uuid4())
    assert refused.value.status == 404


def test_a_system_admin_acts_in_every_organisation_and_the_entry_belongs_to_it() -> None:
    root, there = principal(None, Permission.ORGANISATIONS_ANY), uuid4()
    assert root.everywhere
    acting = root.within(there)
    assert (acting.org_id, acting.user_id, acting.everywhere) == (there, root.user_id, True)
    assert root.org_id is None


def test_a_permission_that_only_a_newer_release_knows_grants_nothing() -> None:
    assert known(["keys:create", "moons:paint"]) == {Permission.KEYS_CREATE}


def test_the_system_itself_is_an_actor_without_a_user() -> None:
    system = Actor()
    assert (system.user_id, system.email, system.origin) == (None, "system", Origin(Source.SYSTEM, ""))

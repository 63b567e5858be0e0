"""A platform full of people, by COPY: organisations, members with sessions, keys, and what has become of them so far.

The first organisation has a tenth of all members and of all usage; the others share the rest of the members evenly, and
have the less usage the later they come. The ledger is of the first `busy` organisations alone.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from ias.contract import keys
from ias.db import uuid7

MODELS = 8


@dataclass(frozen=True)
class Size:
    """How many of each; `busy` is of organisations with a ledger, `entries` of the audit log of each."""

    organisations: int
    members: int
    keys: int
    busy: int
    entries: int = 60
    events: int = 30_000


@dataclass(frozen=True)
class Member:
    """Somebody with an account and a session."""

    id: UUID
    session: UUID
    keys: list[UUID] = field(default_factory=list)


@dataclass(frozen=True)
class Tenant:
    """An organisation; its first member is its admin."""

    id: UUID
    tag: str
    members: list[Member]
    entries: list[UUID] = field(default_factory=list)
    alerts: list[UUID] = field(default_factory=list)
    invites: list[UUID] = field(default_factory=list)
    requests: list[UUID] = field(default_factory=list)


@dataclass(frozen=True)
class Population:
    """All of them. `models` are ids with names."""

    moment: datetime
    tenants: list[Tenant]
    admins: list[Member]
    models: list[tuple[UUID, str]]

    @property
    def period(self) -> str:
        """The month that everything was spent in."""
        return f"{self.moment:%Y%m}"


def imagine(size: Size) -> Population:
    """Make up who there is."""
    largest = max(size.members // 10, 2)
    others = max((size.members - largest) // max(size.organisations - 1, 1), 2)
    tenants = [
        Tenant(uuid7(), keys.new_tag(), [_member() for _ in range(others if number else largest)])
        for number in range(size.organisations)
    ]
    return Population(
        datetime.now(UTC), tenants, [_member() for _ in range(3)], [(uuid7(), f"model-{n}") for n in range(MODELS)]
    )


def address(member: Member) -> str:
    """What somebody logs in with."""
    return f"{member.id.hex}@example.org"


def _member() -> Member:
    return Member(uuid7(), uuid7())

"""Who may what, as the table of roles has it: people, organisations, sessions, invites and keys without any server."""

from dataclasses import dataclass, field

ADMIN, USER = "org-admin", "org-user"
SUSPENDED = "suspended"


@dataclass
class Session:
    """What somebody was given when they logged in, and since."""

    access: str
    refresh: str
    old: list[str] = field(default_factory=list)
    live: bool = True


@dataclass(eq=False)
class Person:
    """A member of an organisation."""

    id: str
    email: str
    password: str
    org: "Org"
    role: str
    status: str = "active"
    sessions: list[Session] = field(default_factory=list)

    @property
    def welcome(self) -> bool:
        return self.status == "active" and self.org.status == "active"

    def end(self, but: Session | None = None) -> None:
        for session in self.sessions:
            session.live = session.live and session is but


@dataclass(eq=False)
class Key:
    """An API key."""

    id: str
    token: str
    owner: Person
    revoked: bool = False

    @property
    def verdict(self) -> bytes:
        """What gateways must say of it."""
        if self.revoked:
            return b"key"
        return b"ok" if self.owner.welcome else b"suspended"


@dataclass(eq=False)
class Invite:
    """A link for one address."""

    id: str
    token: str
    email: str
    role: str
    org: "Org"
    open: bool = True


@dataclass(eq=False)
class Org:
    """A tenant."""

    id: str
    name: str
    tag: str
    status: str = "active"
    people: list[Person] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)
    invites: list[Invite] = field(default_factory=list)

    @property
    def members(self) -> list[Person]:
        return [person for person in self.people if person.status != "removed"]

    @property
    def admins(self) -> list[Person]:
        return [person for person in self.members if person.role == ADMIN and person.status == "active"]

    def marks(self) -> set[str]:
        """What nobody else may ever read."""
        things = (*self.people, *self.keys, *self.invites)
        return {self.id, self.name, self.tag} | {each.id for each in things} | {each.email for each in self.people}


def gate(by: Person, session: Session) -> int:
    """How a request is let in: 200, or what it is refused with, whatever it asks for."""
    if not session.live or by.status != "active":
        return 401
    return 200 if by.org.status == "active" else 403


def managing(by: Person, whom: Person) -> int:
    """How a member is let at another one: 200, 403, or 404 where there is no such member for them."""
    if whom.org is not by.org or whom.status == "removed":
        return 404
    return 200 if by.role == ADMIN else 403


def changing(by: Person, whom: Person, role: str, status: str) -> int:
    """How a change of role or status is answered."""
    allowed = managing(by, whom)
    if allowed != 200:
        return allowed
    if role == "system-admin":
        return 403
    stays = (role, status) == (ADMIN, "active")
    return 409 if whom.org.admins == [whom] and not stays else 200


def visible(keys: list[Key], by: Person) -> list[Key]:
    """The keys that somebody may see."""
    return [key for key in keys if key.owner is by or (by.role == ADMIN and key.owner.org is by.org)]

"""What people do to one another's accounts and keys, in any order, with what everybody reads after each step."""

from collections.abc import Iterator
from typing import Any, ClassVar, NoReturn
from uuid import uuid4

import msgspec
import redis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ias.contract.admission import models
from ias.contract.keys import fingerprint
from tests.integration.identity.asking import Asking
from tests.integration.identity.model import (
    ADMIN,
    SUSPENDED,
    USER,
    Invite,
    Key,
    Org,
    Person,
    Session,
    changing,
    gate,
    managing,
    visible,
)

PASSWORDS = ("Correct-horse-7-battery!", "Another-battery-9-staple")
MOST_PEOPLE, MOST_KEYS = 5, 5
"""In an organisation at once: more of them show no more, and take longer."""

ANY = st.integers(0, 239)
"""One of however many there are."""
ROLES = st.sampled_from((ADMIN, USER, USER, "system-admin"))
FOREIGN = (
    ("GET", "/users/{person}", None),
    ("GET", "/api-keys/{key}", None),
    ("GET", "/organizations/{org}", None),
    ("GET", "/organizations/{org}/budget", None),
    ("GET", "/organizations/{org}/spend", None),
    ("GET", "/analytics/orgs/{org}/usage", None),
    ("DELETE", "/api-keys/{key}", None),
    ("POST", "/api-keys/{key}/rotate", {}),
    ("PATCH", "/users/{person}", {"name": "x"}),
    ("DELETE", "/users/{person}", None),
    ("DELETE", "/users/invites/{invite}", None),
    ("PATCH", "/organizations/{org}/budget", {"monthly_tokens": 1}),
    ("POST", "/organizations/{org}/suspend", None),
    ("POST", "/users/{person}/reset-password", {"new_password": PASSWORDS[1]}),
)
"""What is asked of another tenant; there is no such thing, whoever asks."""


class Tenants(RuleBasedStateMachine):
    """Two organisations of an admin and a user, whom a system admin made."""

    asking: ClassVar[Asking]
    root: ClassVar[Session]
    edge: ClassVar[redis.Redis]
    failures: ClassVar[list[str]]
    """What went wrong, as it was seen: what does not happen a second time, Hypothesis tells of in other words."""

    def __init__(self) -> None:
        super().__init__()
        self.orgs: list[Org] = []
        self.step = 0

    # Beginning.

    @initialize()
    def found(self) -> None:
        for _ in range(2):
            name = f"org {uuid4().hex}"
            made = self._good(self.root, "POST", "/organizations", {"name": name})
            self.orgs.append(org := Org(made["id"], name, made["tag"]))
            for role in (ADMIN, USER):
                sent = {"email": _address(), "role": role, "org_id": org.id}
                self._join(self._invited(org, self._good(self.root, "POST", "/users/invite", sent)))

    # Members.

    @rule(by=ANY, role=ROLES, address=st.sampled_from(("new", "new", "twice", "invited", "known")))
    def invite(self, by: int, role: str, address: str) -> None:
        person, session, _ = self._whom(by, by)
        invited = [each for each in person.org.invites if each.open] or person.org.invites
        again = {"invited": invited, "known": person.org.members}.get(address) or []
        email = again[by % len(again)].email if again else _address()
        for _ in range(2 if address == "twice" else 1):
            self._invite(person, session, {"email": email, "role": role})

    def _invite(self, person: Person, session: Session, sent: dict[str, str]) -> None:
        expected = gate(person, session)
        if expected == 200 and (person.role != ADMIN or sent["role"] == "system-admin"):
            expected = 403
        elif expected == 200:
            expected = 409 if sent["email"] in self._known() else 201
        made = self._expect(expected, session, "POST", "/users/invite", sent)
        if expected == 201:
            for each in person.org.invites:
                each.open = each.open and each.email != sent["email"]
            self._invited(person.org, made)

    @rule(by=ANY)
    def invite_into_another_organisation(self, by: int) -> None:
        person, session = self._somebody(by)
        sent = {"email": _address(), "org_id": self._other(person.org).id}
        refused = 404 if person.role == ADMIN else 403
        self._expect(gate(person, session) if gate(person, session) != 200 else refused, session, *INVITE, sent)

    @precondition(lambda self: any(org.invites for org in self.orgs))
    @rule(which=ANY, as_somebody_else=st.booleans())
    def accept(self, which: int, as_somebody_else: bool) -> None:
        invites = [each for org in self.orgs for each in org.invites]
        invite = invites[which % len(invites)]
        sent = {"token": invite.token, "name": "Ada", "password": PASSWORDS[0]}
        if not invite.open or invite.org.status != "active":
            self._expect(410, None, "POST", "/users/accept-invite", sent)
        elif as_somebody_else:
            self._expect(403, None, "POST", "/users/accept-invite", sent | {"email": _address()})
        elif invite.email in self._known():
            self._expect(409, None, "POST", "/users/accept-invite", sent)
        elif len(invite.org.members) < MOST_PEOPLE:
            self._join(invite)

    @rule(by=ANY, whom=ANY, role=ROLES)
    def change_role(self, by: int, whom: int, role: str) -> None:
        person, session, target = self._whom(by, whom)
        same = target.role == role
        expected = self._through(person, session, changing(person, target, role, target.status) if not same else 200)
        if same and expected == 200:
            expected = managing(person, target)
        self._expect(expected, session, "PATCH", f"/users/{target.id}", {"role": role})
        if expected == 200:
            target.role = role

    @rule(by=ANY, whom=ANY, status=st.sampled_from(("active", SUSPENDED, SUSPENDED)), back=st.booleans())
    def suspend_or_resume(self, by: int, whom: int, status: str, back: bool) -> None:
        person, session, target = self._whom(by, whom, SUSPENDED if status == "active" else "active")
        expected = self._through(person, session, changing(person, target, target.role, status))
        self._expect(expected, session, "PATCH", f"/users/{target.id}", {"status": status})
        if expected == 200:
            if status == SUSPENDED and target.status != SUSPENDED:
                target.end()
            target.status = status
        if expected == 200 and back and person is not target:
            self._expect(200, session, "PATCH", f"/users/{target.id}", {"status": "active"})
            target.status = "active"

    @rule(by=ANY, whom=ANY)
    def remove(self, by: int, whom: int) -> None:
        person, session, target = self._whom(by, whom)
        expected = self._through(person, session, changing(person, target, USER, "removed"))
        self._expect(204 if expected == 200 else expected, session, "DELETE", f"/users/{target.id}")
        if expected == 200:
            target.end()
            target.status = "removed"
            for key in target.org.keys:
                key.revoked = key.revoked or key.owner is target

    @rule(which=st.integers(0, 1), verb=st.sampled_from(("suspend", "resume", "resume")))
    def suspend_or_resume_an_organisation(self, which: int, verb: str) -> None:
        org = self.orgs[which]
        self._good(self.root, "POST", f"/organizations/{org.id}/{verb}")
        org.status = SUSPENDED if verb == "suspend" else "active"

    # Sessions.

    @rule(whom=ANY, right=st.sampled_from((True, True, True, False)))
    def log_in(self, whom: int, right: bool) -> None:
        person = self._anybody(whom)
        sent = {"email": person.email, "password": person.password if right else "Wrong-guess-1!"}
        known = right and person.status != "removed" and person.email in self._known()
        expected = (200 if person.welcome else 403) if known else 401
        made = self._expect(expected, None, "POST", "/auth/login", sent)
        if expected == 200:
            person.sessions = [*person.sessions[-1:], Session(made["access_token"], made["refresh_token"])]

    @rule(by=ANY)
    def refresh(self, by: int) -> None:
        person, session = self._somebody(by)
        holds = person.welcome and session.live
        made = self._expect(200 if holds else 401, None, "POST", "/auth/refresh", {"refresh_token": session.refresh})
        if holds:
            session.old.append(session.refresh)
            session.access, session.refresh = made["access_token"], made["refresh_token"]

    @rule(by=ANY)
    def replay_an_old_refresh_token(self, by: int) -> None:
        person, session = self._somebody(by)
        if session.old:
            old = session.old[by % len(session.old)]
            self._expect(401, None, "POST", "/auth/refresh", {"refresh_token": old})
            session.live = session.live and not person.welcome

    @rule(by=ANY)
    def log_out(self, by: int) -> None:
        person, session = self._somebody(by)
        expected = gate(person, session)
        self._expect(204 if expected == 200 else expected, session, "POST", "/auth/logout")
        session.live = session.live and expected != 200

    @rule(by=ANY, known=st.booleans())
    def change_password(self, by: int, known: bool) -> None:
        person, session = self._somebody(by)
        new = next(each for each in PASSWORDS if each != person.password)
        sent = {"current_password": person.password if known else "Wrong-guess-1!", "new_password": new}
        expected = self._through(person, session, 204 if known else 401)
        self._expect(expected, session, "PUT", "/me/password", sent)
        if expected == 204:
            person.end(but=session)
            person.password = new

    @rule(whom=ANY)
    def reset_password(self, whom: int) -> None:
        target = self._anybody(whom)
        path, expected = f"/users/{target.id}/reset-password", 404 if target.status == "removed" else 204
        self._expect(expected, self.root, "POST", path, {"new_password": PASSWORDS[1]})
        if expected == 204:
            target.end()
            target.password = PASSWORDS[1]

    # Keys.

    @rule(by=ANY)
    def issue_a_key(self, by: int) -> None:
        person, session = self._somebody(by)
        expected = self._through(person, session, 201)
        if len(person.org.keys) < MOST_KEYS or expected != 201:
            made = self._expect(expected, session, "POST", "/api-keys", {"label": "machine"})
            if expected == 201:
                person.org.keys.append(Key(made["id"], made["token"], person))

    @precondition(lambda self: any(org.keys for org in self.orgs))
    @rule(by=ANY, which=ANY, grace_s=st.sampled_from((0, 3600)))
    def rotate_a_key(self, by: int, which: int, grace_s: int) -> None:
        (person, session), key = self._somebody(by), self._some_key(which)
        expected = 404 if key.owner is not person else 409 if key.revoked else 201
        expected = self._through(person, session, expected)
        made = self._expect(expected, session, "POST", f"/api-keys/{key.id}/rotate", {"grace_s": grace_s})
        if expected == 201:
            key.revoked = not grace_s
            person.org.keys.append(Key(made["id"], made["token"], person))

    @precondition(lambda self: any(org.keys for org in self.orgs))
    @rule(by=ANY, which=ANY)
    def revoke_a_key(self, by: int, which: int) -> None:
        (person, session), key = self._somebody(by), self._some_key(which)
        expected = self._through(person, session, 200 if key in visible(key.owner.org.keys, person) else 404)
        self._expect(expected, session, "DELETE", f"/api-keys/{key.id}")
        key.revoked = key.revoked or expected == 200

    # What must hold after each step.

    @invariant()
    def everybody_reads_what_is_theirs_and_nothing_else(self) -> None:
        self.step += 1
        for org in self.orgs:
            listed = self._good(self.root, "GET", f"/users?org_id={org.id}&limit=200")["items"]
            assert {each["id"]: (each["role"], each["status"]) for each in listed} == {
                person.id: (person.role, person.status) for person in org.members
            }
            assert org.admins, "the last admin stays"
            for person in org.people[-MOST_PEOPLE:]:
                for session in person.sessions:
                    self._reads(person, session)

    @invariant()
    def gateways_let_in_exactly_the_keys_of_whom_is_let_in(self) -> None:
        keys = [key for org in self.orgs for key in org.keys]
        pipeline = self.edge.pipeline(transaction=False)
        for key in keys:
            pipeline.execute_command(*models(key.owner.org.tag, fingerprint(key.token)))
        said = [answer[0] for answer in pipeline.execute()] if keys else []
        assert said == [key.verdict for key in keys]

    def _reads(self, person: Person, session: Session) -> None:
        org, refused = person.org, gate(person, session)
        if refused != 200:
            for path in ("/me", ("/users", "/api-keys", "/organizations", f"/users/{person.id}")[self.step % 4]):
                self._expect(refused, session, "GET", path)
            return
        me = self._see(person, session, "/me")
        assert (me["id"], me["role"], me["org_id"]) == (person.id, person.role, org.id)
        keys = {key["id"]: key["revoked_at"] is not None for key in self._see(person, session, "/api-keys?limit=200")}
        assert keys == {key.id: key.revoked for key in visible(org.keys, person)}
        assert [each["id"] for each in self._see(person, session, "/organizations")] == [org.id]
        if person.role == ADMIN:
            assert {each["id"] for each in self._see(person, session, "/users")} == {each.id for each in org.members}
            invited = {each["id"] for each in self._see(person, session, "/users/invites")}
            assert invited == {each.id for each in org.invites if each.open}
            assert {each["org_id"] for each in self._see(person, session, "/audit-logs?limit=5")} == {org.id}
        else:
            for path in ("/users", "/users/invites", "/audit-logs"):
                self._expect(403, session, "GET", path)
        self._asks_a_stranger(person, session)

    def _asks_a_stranger(self, person: Person, session: Session) -> None:
        other = self._other(person.org)
        method, path, body = FOREIGN[self.step % len(FOREIGN)]
        ids = {
            "org": other.id,
            "person": other.people[self.step % len(other.people)].id,
            "key": next((key.id for key in other.keys), other.id),
            "invite": next((each.id for each in other.invites if each.open), other.id),
        }
        self._expect(404, session, method, path.format(**ids), body)
        filtered = self._see(person, session, f"/api-keys?user_id={ids['person']}")
        assert filtered == []

    # Ways to ask.

    def _good(self, session: Session | None, method: str, path: str, body: object = None) -> Any:
        status, answer = self.asking.ask(session, method, path, body)
        if not 200 <= status < 300:
            self._wrong(f"{method} {path}: {status} {answer}")
        return answer

    def _expect(self, expected: int, session: Session | None, method: str, path: str, body: object = None) -> Any:
        status, answer = self.asking.ask(session, method, path, body)
        if status != expected:
            self._wrong(f"{method} {path} {body}: {status} {answer}, and not {expected}")
        return answer

    def _wrong(self, said: str) -> NoReturn:
        self.failures.append(said)
        raise AssertionError(said)

    def _see(self, person: Person, session: Session, path: str) -> Any:
        """What somebody reads, in which there is nothing of another tenant."""
        answer = self._expect(200, session, "GET", path)
        text = msgspec.json.encode(answer).decode()
        assert [mark for mark in self._other(person.org).marks() if mark in text] == []
        return answer.get("items", answer)

    def _through(self, person: Person, session: Session, then: int) -> int:
        """`then`, where they are let in at all."""
        refused = gate(person, session)
        return then if refused == 200 else refused

    # Whom and what.

    def _everybody(self) -> Iterator[Person]:
        return (person for org in self.orgs for person in org.people[-MOST_PEOPLE:])

    def _anybody(self, number: int) -> Person:
        people = list(self._everybody())
        return people[number % len(people)]

    def _somebody(self, number: int) -> tuple[Person, Session]:
        """Anybody with a session, three times of four one that holds."""
        pairs = [(person, session) for person in self._everybody() for session in person.sessions]
        able = [pair for pair in pairs if gate(*pair) == 200]
        chosen = able if able and number % 4 else pairs
        return chosen[number // 4 % len(chosen)]

    def _whom(self, by: int, whom: int, status: str = "active") -> tuple[Person, Session, Person]:
        """Somebody and another one; three times of four an admin, and a member of that status whom they may manage."""
        person, session = self._somebody(by)
        pairs = [(each, its) for each in self._everybody() for its in each.sessions if gate(each, its) == 200]
        admins = [pair for pair in pairs if pair[0].role == ADMIN]
        if admins and by % 4:
            person, session = admins[by // 4 % len(admins)]
        near = [each for each in person.org.members if each.status == status]
        return person, session, near[whom // 4 % len(near)] if near and whom % 4 else self._anybody(whom // 4)

    def _some_key(self, number: int) -> Key:
        keys = [key for org in self.orgs for key in org.keys]
        return keys[number % len(keys)]

    def _known(self) -> set[str]:
        return {person.email for org in self.orgs for person in org.members}

    def _other(self, org: Org) -> Org:
        return self.orgs[1 - self.orgs.index(org)]

    def _invited(self, org: Org, made: Any) -> Invite:
        org.invites.append(invite := Invite(made["id"], made["token"], made["email"], made["role"], org))
        return invite

    def _join(self, invite: Invite) -> None:
        sent = {"token": invite.token, "name": "Ada", "password": PASSWORDS[0]}
        made = self._good(None, "POST", "/users/accept-invite", sent)
        invite.open = False
        person = Person(made["id"], invite.email, PASSWORDS[0], invite.org, invite.role)
        invite.org.people.append(person)
        session = self._good(None, "POST", "/auth/login", {"email": person.email, "password": person.password})
        person.sessions.append(Session(session["access_token"], session["refresh_token"]))


INVITE = ("POST", "/users/invite")


def _address() -> str:
    return f"{uuid4().hex[:12]}@example.org"

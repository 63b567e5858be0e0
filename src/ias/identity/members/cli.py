"""`ias-admin user`: members and invites; and the group `bootstrap`."""

from uuid import UUID

import rich_click as click

from ias.identity.members.domain import Invite, Member, MemberChange, NewInvite, OpenInvite, Role, Status
from ias.identity.sessions.domain import PasswordReset
from ias.terminal.arguments import changes
from ias.terminal.commands import Terminal, command
from ias.terminal.installed import installed
from ias.terminal.managed import say_managed
from ias.terminal.output import say

COLUMNS = ("id", "email", "name", "role", "status", "org_id")
INVITE_COLUMNS = ("id", "email", "role", "expires_at", "org_id")
GRANTED = click.Choice([Role.ORG_USER.value, Role.ORG_ADMIN.value])


@click.group(cls=installed("ias.admin.bootstrap"))
def bootstrap() -> None:
    """Make what the API cannot make: the first system admin."""


@click.group(cls=installed("ias.admin.user"))
def user() -> None:
    """Members of your organisation; of any, for system admins."""


@user.command("list")
@click.option("--org", "org_id", type=click.UUID, help="Only of this organisation.")
@click.option("--search", help="Only whose name or address has this in it.")
@command
def listed(terminal: Terminal, org_id: UUID | None, search: str | None) -> None:
    """Members that you may see."""
    terminal.show_listed("/users", Member, {"org_id": org_id, "search": search}, *COLUMNS)


@user.command()
@click.argument("user_id", type=click.UUID)
@command
def show(terminal: Terminal, user_id: UUID) -> None:
    """One member."""
    _show(terminal, terminal.client.get(f"/users/{user_id}", Member))


@user.command()
@click.argument("email")
@click.option("--role", type=GRANTED, default=Role.ORG_USER.value, show_default=True, help="What they may do.")
@click.option("--org", "org_id", type=click.UUID, help="Into which organisation; needed by system admins.")
@command
def invite(terminal: Terminal, email: str, role: str, org_id: UUID | None) -> None:
    """Invite an address. Hand the link over yourself: it is shown once."""
    body = NewInvite(email, Role(role), org_id)
    if not terminal.would("POST", "/users/invite", body):
        found = terminal.client.send("POST", "/users/invite", body, Invite)
        terminal.show(found, "email", "role", "invite_url")
        say_managed(found.managed_by, "users")


@user.command()
@click.option("--org", "org_id", type=click.UUID, help="Only of this organisation.")
@command
def invites(terminal: Terminal, org_id: UUID | None) -> None:
    """Invites that are neither accepted nor withdrawn."""
    terminal.show_listed("/users/invites", OpenInvite, {"org_id": org_id}, *INVITE_COLUMNS)


@user.command()
@click.argument("invite_id", type=click.UUID)
@command
def withdraw(terminal: Terminal, invite_id: UUID) -> None:
    """Withdraw an invite."""
    _do(terminal, "DELETE", f"/users/invites/{invite_id}", "the link works no more")


@user.command()
@click.argument("user_id", type=click.UUID)
@click.option("--name", help="How the person is called.")
@click.option("--role", type=GRANTED, help="What they may do.")
@command
def change(terminal: Terminal, user_id: UUID, name: str | None, role: str | None) -> None:
    """Change a member's name or role."""
    _change(terminal, user_id, changes({"name": name, "role": role}, MemberChange))


@user.command()
@click.argument("user_id", type=click.UUID)
@command
def suspend(terminal: Terminal, user_id: UUID) -> None:
    """Turn a member and their keys away."""
    terminal.sure(f"suspend user {user_id}, so that neither they nor their keys get in")
    _change(terminal, user_id, MemberChange(status=Status.SUSPENDED))


@user.command()
@click.argument("user_id", type=click.UUID)
@command
def resume(terminal: Terminal, user_id: UUID) -> None:
    """Let a suspended member in again."""
    _change(terminal, user_id, MemberChange(status=Status.ACTIVE))


@user.command()
@click.argument("user_id", type=click.UUID)
@command
def delete(terminal: Terminal, user_id: UUID) -> None:
    """Remove a member: sessions end, keys are revoked."""
    terminal.sure(f"remove user {user_id} and revoke their keys")
    _do(terminal, "DELETE", f"/users/{user_id}", "the member is removed")


@user.command("reset-password")
@click.argument("user_id", type=click.UUID)
@command
def reset_password(terminal: Terminal, user_id: UUID) -> None:
    """Set somebody's password, asked for or read from standard input; all of their sessions end."""
    path = f"/users/{user_id}/reset-password"
    body = PasswordReset(terminal.ask("New password", hidden=True))
    if not terminal.would("POST", path):
        terminal.client.do("POST", path, body)
        say("the password is set, and all of their sessions have ended")


def _change(terminal: Terminal, user_id: UUID, asked: MemberChange) -> None:
    path = f"/users/{user_id}"
    if not terminal.would("PATCH", path, asked):
        _show(terminal, terminal.client.send("PATCH", path, asked, Member))


def _show(terminal: Terminal, found: Member) -> None:
    terminal.show(found, *COLUMNS)
    say_managed(found.managed_by, "users")


def _do(terminal: Terminal, method: str, path: str, done: str) -> None:
    if not terminal.would(method, path):
        terminal.client.do(method, path)
        say(done)

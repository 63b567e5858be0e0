"""`ias-admin login`, `logout`, `whoami`, `me`, `password`."""

from http import HTTPStatus

import rich_click as click

from ias.client import Client, Refused, Tokens, Unreachable
from ias.identity.sessions.domain import Credentials, Me, PasswordChange, Profile
from ias.terminal import profiles
from ias.terminal.commands import Terminal, command
from ias.terminal.installed import installed
from ias.terminal.output import say

COLUMNS = ("email", "name", "role", "org_name", "org_id")


@click.command()
@click.option("--email", default="", help="The address to log in with; asked for where it is missing.")
@command
def login(terminal: Terminal, email: str) -> None:
    """Begin a session and keep it. The password is asked for, or read from standard input."""
    address = email or terminal.ask("E-mail")
    sent = Credentials(address, terminal.ask("Password", hidden=True))
    if not terminal.would("POST", "/auth/login"):
        tokens = terminal.anonymous().send("POST", "/auth/login", sent, Tokens)
        terminal.keep(address, tokens)
        say(f"logged in to {terminal.api_url} as {address}")


@click.command()
@command
def logout(terminal: Terminal) -> None:
    """End the session, here and on the server."""
    client = terminal.client
    if terminal.would("POST", "/auth/logout"):
        return
    if terminal.given:
        client.do("POST", "/auth/logout")
        say("the session of IAS_ACCESS_TOKEN has ended; unset it to go on with the profile's, which is left as it was")
    else:
        said = _ended(client)
        profiles.forget(terminal.name)
        say(said)


@click.command()
@command
def whoami(terminal: Terminal) -> None:
    """Who is logged in, and what they may do."""
    _show(terminal)


@click.group(cls=installed("ias.admin.me"))
def me() -> None:
    """Your own account."""


@me.command()
@command
def show(terminal: Terminal) -> None:
    """Who you are, and what you may do."""
    _show(terminal)


@me.command()
@click.argument("name")
@command
def rename(terminal: Terminal, name: str) -> None:
    """Change your own name."""
    asked = Profile(name)
    if not terminal.would("PATCH", "/me", asked):
        terminal.show(terminal.client.send("PATCH", "/me", asked, Me), *COLUMNS)


@click.command()
@command
def password(terminal: Terminal) -> None:
    """Change your own password; your other sessions end."""
    change = PasswordChange(terminal.ask("Current password", hidden=True), terminal.ask("New password", hidden=True))
    if not terminal.would("PUT", "/me/password"):
        terminal.client.do("PUT", "/me/password", change)
        say("the password is changed")


def _ended(client: Client) -> str:
    """What to say of the session, which may be forgotten now.

    Raises:
        Refused: it goes on, and may be ended later.
    """
    try:
        client.do("POST", "/auth/logout")
    except Refused as refused:
        if refused.problem.status != HTTPStatus.UNAUTHORIZED:
            raise
        return "logged out; the session had ended already"
    except Unreachable as error:
        return f"the session is forgotten here, but {error}; there it ends by itself within 7 days"
    return "logged out"


def _show(terminal: Terminal) -> None:
    terminal.show(terminal.client.get("/me", Me), *COLUMNS)

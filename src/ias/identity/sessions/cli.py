"""`ias-admin login`, `logout`, `whoami`, `password`."""

import contextlib

import rich_click as click

from ias.client import Refused, Tokens, Unreachable
from ias.identity.sessions.domain import Credentials, Me, PasswordChange
from ias.terminal import profiles
from ias.terminal.commands import Terminal, command
from ias.terminal.output import say


@click.command()
@click.option("--email", default="", help="The address to log in with; asked for where it is missing.")
@command
def login(terminal: Terminal, email: str) -> None:
    """Begin a session and keep it. The password is asked for, or read from standard input."""
    address = email or terminal.ask("E-mail")
    sent = Credentials(address, terminal.ask("Password", hidden=True))
    tokens = terminal.anonymous().send("POST", "/auth/login", sent, Tokens)
    terminal.keep(address, tokens)
    say(f"logged in to {terminal.api_url} as {address}")


@click.command()
@command
def logout(terminal: Terminal) -> None:
    """End the session, here and on the server."""
    # Where the session has ended already, or the server is away, it is to be forgotten here all the same.
    with contextlib.suppress(Refused, Unreachable):
        terminal.client.do("POST", "/auth/logout")
    profiles.forget(terminal.name)
    say("logged out")


@click.command()
@command
def whoami(terminal: Terminal) -> None:
    """Who is logged in, and what they may do."""
    terminal.show(terminal.client.get("/me", Me), "email", "name", "role", "org_name")


@click.command()
@command
def password(terminal: Terminal) -> None:
    """Change your own password; your other sessions end."""
    change = PasswordChange(terminal.ask("Current password", hidden=True), terminal.ask("New password", hidden=True))
    if not terminal.would("PUT", "/me/password"):
        terminal.client.do("PUT", "/me/password", change)
        say("the password is changed")

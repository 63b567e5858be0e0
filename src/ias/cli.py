"""The commands `ias` and `ias-admin`; an expected failure is one line and an exit code."""

from collections.abc import Callable
from importlib.metadata import entry_points

import click
from rich_click import RichGroup

from ias.db import DatabaseDown
from ias.edge import EdgeDown
from ias.settings import BadSettings

COMMANDS = "ias.commands"
"""The entry points that are commands of `ias`: processes and tools name theirs, and none imports another."""
ADMIN_COMMANDS = "ias.admin"
"""Those of `ias-admin`: each slice names its own."""
UNREACHABLE = 9


class Installed(RichGroup):
    """A group whose commands are the installed ones, each loaded only when it is called for; `users` means `user`."""

    installed = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *entry_points(group=self.installed).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        return own or self._load(cmd_name) or self._load(cmd_name.removesuffix("s"))

    def _load(self, name: str) -> click.Command | None:
        for command in entry_points(group=self.installed, name=name):
            loaded: click.Command = command.load()
            return loaded
        return None


class InstalledAdmin(Installed):
    """The same for `ias-admin`."""

    installed = ADMIN_COMMANDS


@click.group(cls=Installed)
def ias() -> None:
    """Inference-as-a-Service: operate the platform."""


@click.group(cls=InstalledAdmin)
def ias_admin() -> None:
    """Administer Inference-as-a-Service: a client of its API."""


def main() -> None:
    """Run `ias`."""
    told(ias)


def admin() -> None:
    """Run `ias-admin`."""
    told(ias_admin)


def told(command: Callable[[], object]) -> None:
    """Run a command; what users can meet is told in one line.

    Raises:
        SystemExit: 9 where PostgreSQL or Redis does not answer, 1 where the settings are bad.
    """
    try:
        command()
    except BadSettings as error:
        _end(str(error), 1)
    except (DatabaseDown, EdgeDown) as error:
        _end(str(error), UNREACHABLE)


def _end(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    raise SystemExit(code)

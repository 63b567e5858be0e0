"""The commands `ias` and `ias-admin`; an expected failure is one line and an exit code."""

from collections.abc import Callable
from importlib.metadata import EntryPoints, entry_points

import click
from rich_click import RichGroup

from ias.db import DatabaseDown
from ias.edge import EdgeDown
from ias.identity.doors import bootstrap
from ias.settings import BadSettings

COMMANDS = "ias.commands"
"""The entry points that are commands of `ias`: processes and tools name theirs, and none imports another."""
UNREACHABLE = 9


class Installed(RichGroup):
    """A group that also has the installed commands, each loaded only when it is called for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *entry_points(group=COMMANDS).names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or self._load(entry_points(group=COMMANDS, name=cmd_name))

    def _load(self, found: EntryPoints) -> click.Command | None:
        for command in found:
            loaded: click.Command = command.load()
            return loaded
        return None


@click.group(cls=Installed)
def ias() -> None:
    """Inference-as-a-Service: operate the platform."""


@click.group(cls=RichGroup)
def ias_admin() -> None:
    """Administer Inference-as-a-Service."""


ias_admin.add_command(bootstrap)


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

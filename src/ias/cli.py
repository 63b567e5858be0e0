"""The commands `ias` and `ias-admin`; an expected failure is one line and an exit code."""

import rich_click as click

from ias.terminal.installed import Installed

UNREACHABLE = 9


@click.group(cls=Installed, installed="ias.commands")
def ias() -> None:
    """Inference-as-a-Service: operate the platform."""


@click.group(cls=Installed, installed="ias.admin")
def ias_admin() -> None:
    """Administer Inference-as-a-Service: a client of its API."""


def main() -> None:
    """Run `ias`."""
    told(ias)


def admin() -> None:
    """Run `ias-admin`."""
    told(ias_admin)

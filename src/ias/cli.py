"""The commands `ias` and `ias-admin`; an expected failure is one line and an exit code."""

import os
import signal
from collections.abc import Callable
from typing import NoReturn

import rich_click as click

from ias.outages import Outage
from ias.settings import BadSettings
from ias.terminal.installed import installed

UNREACHABLE = 9


@click.group(cls=installed("ias.commands"))
def ias() -> None:
    """Inference-as-a-Service: operate the platform."""


@click.group(cls=installed("ias.admin"))
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
    _end_when_told()
    try:
        command()
    except BadSettings as error:
        _end(str(error), 1)
    except Outage as error:
        _end(str(error), UNREACHABLE)


def _end_when_told() -> None:
    """Process 1 of a container gets no SIGTERM that nobody takes. Servers take it later, to drain."""
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda number, _: _ended(number))


def _ended(number: int) -> NoReturn:
    raise SystemExit(128 + number)


def _end(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    raise SystemExit(code)

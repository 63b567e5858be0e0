"""`ias-admin bootstrap create-super-admin`: the one command of identity that works on the database itself."""

import asyncio
import sys
from typing import NoReturn

import rich_click as click

from ias.db import close_pool, open_pool
from ias.identity.members.actions import AddressTaken, create_system_admin
from ias.problems import Problem
from ias.settings import settings

CONFLICT = 7


@click.command("create-super-admin")
@click.option("--email", required=True, help="The address to log in with.")
@click.option("--name", default="System admin", show_default=True, help="How the person is called.")
@click.option("--password", help="Better left out: it is asked for, or read from standard input.")
def create_super_admin(email: str, name: str, password: str | None) -> None:
    """Make a system admin, straight in the database (IAS_DATABASE_URL)."""
    if password is not None:
        click.echo("warning: --password shows in the process list and in the shell's history", err=True)
    try:
        asyncio.run(_create(email, name, password or _asked()))
    except AddressTaken as taken:
        _refuse(f"{taken.detail}; nothing was changed", CONFLICT)
    except Problem as problem:
        _refuse(problem.detail, 1)
    click.echo(f"{email} is a system admin")


def _refuse(message: str, code: int) -> NoReturn:
    click.echo(f"error: {message}", err=True)
    raise SystemExit(code)


def _asked() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


async def _create(email: str, name: str, password: str) -> None:
    await open_pool(settings().database_url, 2, "admin")
    try:
        await create_system_admin(email, name, password)
    finally:
        await close_pool()

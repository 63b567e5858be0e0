"""`ias-admin gitops`: organisations managed by Git."""

import rich_click as click

from ias.terminal.installed import installed


@click.group(cls=installed("ias.admin.gitops"))
def gitops() -> None:
    """Organisations managed by Git: check a file, see what it would change, see what is in force."""

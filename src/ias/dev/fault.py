"""Why `ias dev` cannot go on: one sentence with the mend, then exit 1."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import rich_click as click


class Fault(Exception):
    """One clear sentence that says what to do."""


class FaultTeller(click.RichGroup):
    """A command group that ends with a Fault's sentence on stderr and exit code 1."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except Fault as fault:
            click.echo(f"ias dev: {fault}", err=True)
            raise SystemExit(1) from None


@contextmanager
def told_plainly(place: str) -> Iterator[None]:
    """Turn a full disk or a foreign folder into a sentence; `place` is the folder written to.

    Raises:
        Fault: in the place of an OSError that the user can mend.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Fault(f"the disk under {place} is full: make room, then try again.") from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise Fault(f"{error.filename or place} may not be written by this user: run as its owner.") from error
        raise

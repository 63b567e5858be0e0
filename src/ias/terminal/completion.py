"""`ias-admin completion`: what a shell has to read in to complete commands and options."""

import rich_click as click
from click.shell_completion import get_completion_class

from ias.terminal.output import line

PROGRAM = "ias-admin"
VARIABLE = "_IAS_ADMIN_COMPLETE"
"""The variable that click looks for, by the program's name."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete commands: eval "$(ias-admin completion bash)"."""
    kind = get_completion_class(shell)
    if kind is not None:
        line(kind(context.find_root().command, {}, PROGRAM, VARIABLE).source())

"""`ias-admin manual`: every command with its options, as Markdown; docs/cli.md is what it prints."""

from collections.abc import Iterator

import rich_click as click

from ias.terminal.commands import Said
from ias.terminal.exits import Exit
from ias.terminal.output import line
from ias.terminal.settings import TerminalSettings

PROGRAM = "ias-admin"
SHARED = frozenset({*Said.__struct_fields__, "help"})
OPENING = """# ias-admin

A client of the management API. `ias-admin manual` prints this page.

- Data goes to stdout, everything else to stderr; lists page by themselves.
- `-o table|json|yaml|csv`: how to print. `--profile`, `--api-url`: as whom and where.
- `--yes`: do not ask whether one is sure. `--no-input`: ask nothing. `--dry-run`: only tell what would be sent.
- These options come after the command, and every command has them. `NO_COLOR` is heeded.
- Where `[ORG_ID]` is left out, your own organisation is meant. `orgs` means `org`, `users` means `user`.
- Tokens are kept in the system's keyring, or in a file that only you can read."""
CODES = {
    Exit.OK: "done",
    Exit.ERROR: "failed",
    Exit.USAGE: "not understood: an option, an argument or a value is wrong",
    Exit.CHANGES: "changes are pending",
    Exit.AUTHENTICATION: "not logged in, or not any more",
    Exit.NOT_FOUND: "there is no such thing, or it belongs to somebody else",
    Exit.DENIED: "not permitted",
    Exit.CONFLICT: "does not fit what there is, or somebody changed it meanwhile",
    Exit.LIMITED: "too many requests, or a budget is spent",
    Exit.UNREACHABLE: "does not answer",
}


@click.command()
@click.pass_context
def manual(context: click.Context) -> None:
    """Print every command with its options, as Markdown."""
    line("\n".join(pages(context.find_root().command)))


def pages(root: click.Command) -> Iterator[str]:
    """The lines of the manual."""
    yield from OPENING.splitlines()
    yield from ("", "| exit code | what it means |", "| --- | --- |")
    yield from (f"| {code.value} | {said} |" for code, said in CODES.items())
    yield from ("", "| variable | what it says |", "| --- | --- |")
    for name, field in TerminalSettings.model_fields.items():
        yield f"| `IAS_{name.upper()}` | {field.description} |"
    for context in leaves(click.Context(root, info_name=PROGRAM)):
        yield from _page(context)


def leaves(context: click.Context) -> Iterator[click.Context]:
    """Every command that does something, in its groups' order."""
    group = context.command
    if not isinstance(group, click.Group):
        yield context
        return
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            yield from leaves(click.Context(command, parent=context, info_name=name))


def _page(context: click.Context) -> Iterator[str]:
    own = [param for param in context.command.params if param.name not in SHARED]
    arguments = [param.make_metavar(context) for param in own if isinstance(param, click.Argument)]
    yield from ("", f"## {' '.join([context.command_path.replace(' '.join(arguments), '').strip(), *arguments])}")
    yield from ("", (context.command.help or "").strip())
    options = [param for param in own if isinstance(param, click.Option)]
    if options:
        yield from ("", "| option | |", "| --- | --- |")
        yield from (_row(option, context) for option in options)


def _row(option: click.Option, context: click.Context) -> str:
    taken, said = option.get_help_record(context) or ("", "")
    return f"| `{taken}` | {said} |".replace("|none", "\\|none")

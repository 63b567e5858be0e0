"""Groups whose commands are entry points: each slice names its own, and none has to know the others."""

import gc
from importlib.metadata import EntryPoint, entry_points

import rich_click as click
from rich_click import RichGroup


class Installed(RichGroup):
    """A group whose commands are also those installed under a name, each loaded only when it is called for.

    `users` means `user`, and `limit` means `limits`.
    """

    installed = ""
    """The name of the entry points."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(command.name for command in self._found())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        for name in (cmd_name, cmd_name.removesuffix("s"), f"{cmd_name}s"):
            found = super().get_command(ctx, name) or self._load(name)
            if found is not None:
                return found
        return None

    def _load(self, name: str) -> click.Command | None:
        for command in self._found():
            if command.name == name:
                return _loaded(command)
        return None

    def _found(self) -> tuple[EntryPoint, ...]:
        return tuple(entry_points(group=self.installed))


def installed(name: str) -> type[Installed]:
    """The class of a group with the commands that are installed under this name."""

    class Named(Installed):
        installed = name

    return Named


def _loaded(entry: EntryPoint) -> click.Command:
    """The command. What it is made of stays: to look through it for circles would be a third of a process's start."""
    gc.disable()
    try:
        command: click.Command = entry.load()
    finally:
        gc.freeze()
        gc.enable()
    return command

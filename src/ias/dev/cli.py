"""`ias dev`: brings the embedded stack up and down, shows it, and follows it."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import which
from types import FrameType

import rich_click as click

from ias.dev import dev_env, logs, processes, services, stack, state
from ias.dev.fault import Fault, FaultTeller, told_plainly
from ias.dev.opening import MODELS, bring_up
from ias.dev.progress import say
from ias.dev.settings import CHECKOUT, inherited
from ias.dev.state import Folder, State

FOLDER = Folder(CHECKOUT / ".ias")


@click.group(cls=FaultTeller)
def dev() -> None:
    """Run everything on this machine: embedded services, the platform, a mock engine and demo data."""


@dev.command()
@click.option("--detach", is_flag=True, help="Return when all of it runs; otherwise follow it until Ctrl-C ends it.")
@click.option("--model", default=MODELS[0], show_default=True, help=f"One of {', '.join(MODELS)}.")
def up(*, detach: bool, model: str) -> None:
    """Bring everything up, do the main job once with a model, and say where everything is."""
    if model not in MODELS:
        raise Fault(f"there is no model '{model}': MODEL may be {' or '.join(MODELS)}.")
    with told_plainly(str(FOLDER.root)), _interruptible():
        state.prepare(FOLDER)
        try:
            with state.alone(FOLDER):
                bring_up(FOLDER, inherited(), model)
            if not detach:
                _follow_to_the_end()
        except KeyboardInterrupt:
            if detach:
                raise
            say("\nEnding everything ...")
            with state.alone(FOLDER):
                _end_everything(state.load(FOLDER))


@dev.command()
def down() -> None:
    """End everything by its recorded pid; the data stays."""
    if not FOLDER.root.exists():
        say("Nothing runs here.")
        return
    with told_plainly(str(FOLDER.root)):
        state.prepare(FOLDER)
        with state.alone(FOLDER):
            _end_everything(state.load(FOLDER))


@dev.command()
def status() -> None:
    """List the processes: pid, port, and whether each is ready. Exit code 1 where one is not."""
    known, whole = _started(), True
    for service in services.everything(FOLDER, known, {}):
        record = processes.running(FOLDER, service.name)
        missing = service.missing() if record else "not running"
        whole = whole and not missing
        pid = record.pid if record else "-"
        say(f"{service.name:<9} pid {pid!s:<8} port {known.ports[service.name]:<6} {missing or 'ready'}")
    raise SystemExit(0 if whole else 1)


@dev.command()
def env() -> None:
    """Print the variables for a shell: `eval "$(ias dev env)"`."""
    if not FOLDER.env_file.exists():
        raise Fault("there is no stack here yet: run 'make up'.")
    for name, value in dev_env.variables(state.load(FOLDER)).items():
        click.echo(f"export {name}='{value}'")


@dev.command(context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def run(command: tuple[str, ...]) -> None:
    """Run a command with the settings of the stack's processes, as in `ias dev run ias doctor`."""
    told = inherited() | services.environment(_started())
    told["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), told.get("PATH", os.defpath)))
    found = which(command[0], path=told["PATH"])
    if found is None:
        raise Fault(f"there is no program '{command[0]}' that could be run.")
    try:
        os.execve(found, command, told)  # noqa: S606 - the command is the caller's own
    except OSError as error:
        raise Fault(f"{found} cannot be run: {error.strerror}.") from None


@dev.command("logs")
@click.option("--follow", "-f", is_flag=True, help="Go on as lines come, until Ctrl-C.")
@click.argument("names", nargs=-1)
def show_logs(names: tuple[str, ...], *, follow: bool) -> None:
    """Print the last lines of the logs, of all processes or of those named."""
    known = logs.names(FOLDER)
    for name in names:
        if name not in known:
            raise Fault(f"there is no log of '{name}': there are {', '.join(known) or 'none yet'}.")
    for name in names or known:
        for line in logs.tail(FOLDER, name).splitlines():
            click.echo(f"{name:<9}| {line}")
    with suppress(KeyboardInterrupt):
        for line in filter(None, logs.follow(FOLDER, names) if follow else ()):
            click.echo(line)


def _started() -> State:
    """The stack that was started here, whether or not it runs."""
    known = state.load(FOLDER)
    if not known.ports:
        raise Fault("nothing was started here yet: run 'make up'.")
    return known


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM and a closed terminal end things in order, as Ctrl-C does, even where a shell had it ignored."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in stack.INTERRUPTIONS:
        signal.signal(number, interrupt)
    yield


def _follow_to_the_end() -> None:
    """Show the logs until Ctrl-C, or until all of it was ended from elsewhere."""
    say("Following the logs; Ctrl-C ends everything.")
    running = {name for name in services.NAMES if processes.running(FOLDER, name)}
    for line in logs.follow(FOLDER):
        if line:
            click.echo(line)
            continue
        for name in sorted(name for name in running if processes.running(FOLDER, name) is None):
            running.discard(name)
            say(f"{name} ended; 'ias dev up --detach' in another terminal starts it again.")
        if not running:
            return


def _end_everything(known: State) -> None:
    for remark in processes.forget_stale(FOLDER):
        say(remark)
    if not any(processes.running(FOLDER, name) for name in services.NAMES):
        say("Nothing runs here.")
        return
    killed = stack.end(FOLDER, services.everything(FOLDER, known, {}))
    for name in killed:
        say(f"{name} did not end in time and was killed: see {FOLDER.log(name)}.")
    say("Everything has ended; the data is kept ('make clean' removes it).")

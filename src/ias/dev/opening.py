"""From whatever runs now to everything running: ports, processes, demo, and the main job once."""

import shutil
import time

import rich_click as click

from ias.dev import demo, dev_env, first_call, ports, processes, services, stack, state
from ias.dev.fault import Fault
from ias.dev.progress import done, say, working
from ias.dev.settings import asked_ports
from ias.dev.state import Folder, State
from ias.dev.summary import summary
from ias.dev.vllm import installation, server

MIN_FREE_BYTES = 1_000_000_000
MODELS = (demo.MODEL, server.MODEL)
"""What `make up MODEL=...` takes."""


def bring_up(folder: Folder, env: dict[str, str], model: str) -> State:
    """Start what does not run, make what is missing of the demo, do the main job once, and say where everything is.

    `model` is one of `MODELS`; vLLM is started where it is the model that vLLM serves, and left alone otherwise.

    Raises:
        Fault: something cannot be done; all that this call started has been ended again.
    """
    begun = time.monotonic()
    refuse_full_disk(folder)
    for remark in processes.forget_stale(folder):
        say(remark)
    real = model == server.MODEL
    if real and processes.running(folder, server.NAME) is None:
        installation.ensure(env)
    known = _with_ports(folder, state.load(folder))
    started = stack.Started()
    with stack.ended_on_failure(folder, started):
        stack.up(folder, known, env, started, (services.real(known, env),) if real else ())
        if not started.services:
            say("Everything runs already, and all of it is ready.")
        _demo(folder, known, env, demo.models(known, real=real))
        dev_env.write(folder, known)
        if started.services:
            _main_job(known, model)
    say(summary(folder, known, model))
    if started.services:
        say(f"Everything is up after {time.monotonic() - begun:.1f} s.")
    return known


def refuse_full_disk(folder: Folder) -> None:
    """Less than 1 GB free would end in the middle of a write.

    Raises:
        Fault: there is less.
    """
    if shutil.disk_usage(folder.root).free < MIN_FREE_BYTES:
        raise Fault(f"the disk under {folder.root} has less than 1 GB free: make room, then try again.")


def _with_ports(folder: Folder, known: State) -> State:
    """The state with a port for every process; those that run keep theirs."""
    parts = {"gateway": ("gateway", "gateway_metrics"), "engine": ("engine", "engine_control")}
    busy = frozenset(
        port for name in services.NAMES if processes.running(folder, name) for port in parts.get(name, (name,))
    )
    choice = ports.choose(asked_ports(), known.ports, busy)
    for remark in choice.remarks:
        say(remark)
    known.ports = choice.ports
    state.save(folder, known)
    return known


def _demo(folder: Folder, known: State, env: dict[str, str], served: tuple[demo.NewModel, ...]) -> None:
    begun = time.monotonic()
    if demo.is_whole(known, served):
        return
    with working("making the demo organisation"):
        demo.ensure(folder, known, env, served)
    done("demo", "ready", time.monotonic() - begun)


def _main_job(known: State, model: str) -> None:
    """One completion as it comes, then its line in the ledger when it lands."""
    say(f"\nOne streamed completion with the demo key ({model}):")
    with first_call.asked(known, model) as answer:
        click.echo("  ", nl=False)
        for piece in answer.pieces:
            click.echo(piece.replace("\n", "\n  "), nl=False)
        click.echo()
    begun = time.monotonic()
    line = first_call.ledger_line(known, answer.request_id)
    say(
        f"Its ledger line: {line.prompt_tokens} input tokens ({line.cached_tokens} cached), "
        f"{line.completion_tokens} output tokens, cost {line.cost}, {line.outcome} "
        f"(request {line.request_id}; in the ledger {time.monotonic() - begun:.1f} s after the last token)."
    )

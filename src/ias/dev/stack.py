"""Starting the whole stack in order and ending it in reverse; what was started by a start that fails is ended again."""

import asyncio
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import msgspec

from ias.dev import logs, migrations, postgres, processes, services
from ias.dev.fault import Fault
from ias.dev.progress import done, following, say
from ias.dev.services import Service
from ias.dev.state import Folder, State

POLL_S = 0.1
REMIND_EVERY_S = 15.0
INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Started(msgspec.Struct):
    """What this command started, in order."""

    services: list[Service] = []


def up(folder: Folder, state: State, env: dict[str, str], started: Started, real: tuple[Service, ...] = ()) -> None:
    """Bring up whatever does not run yet, note it in `started`, and wait until all of it serves.

    `real` takes longest: it is started first and waited for last.

    Raises:
        Fault: something does not start.
    """
    begun = time.monotonic()
    _launch(folder, real, started, env)
    _start(folder, services.stores(folder, state, env), started, env)
    asyncio.run(postgres.make_database(state))
    if asyncio.run(migrations.pending(state)):
        migrations.apply(folder, state, env)
    _start(folder, services.platform(folder, state), started, env)
    _wait(folder, real, started, begun)


@contextmanager
def ended_on_failure(folder: Folder, started: Started) -> Iterator[None]:
    """End what was started when the block does not come to its end, be it by a fault or by Ctrl-C."""
    try:
        yield
    except BaseException:
        if started.services:
            say("Ending again what was started ...")
        end(folder, started.services)
        raise


def end(folder: Folder, running: Iterable[Service]) -> tuple[str, ...]:
    """End the services from the last to the first; the answer names those that had to be killed."""
    killed: list[str] = []
    with _undisturbed():
        for service in reversed(tuple(running)):
            ran, begun = processes.running(folder, service.name), time.monotonic()
            if not processes.stop(folder, service.name, service.end_by, service.grace_s):
                killed.append(service.name)
            if ran is not None:
                done(service.name, "ended", time.monotonic() - begun)
    return tuple(killed)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not leave half of it running."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in INTERRUPTIONS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _start(folder: Folder, those: tuple[Service, ...], started: Started, env: dict[str, str]) -> None:
    """Start in parallel what does not run, and wait for all of it, also for what ran before."""
    begun = time.monotonic()
    _launch(folder, those, started, env)
    _wait(folder, those, started, begun)


def _launch(folder: Folder, those: tuple[Service, ...], started: Started, env: dict[str, str]) -> None:
    for service in those:
        if processes.running(folder, service.name) is None:
            started.services.append(service)
            processes.start(folder, service.launch(), env)


def _wait(folder: Folder, those: tuple[Service, ...], started: Started, begun: float) -> None:
    waiting = {service.name: service for service in those}
    fresh = {service.name for service in started.services}
    with following(f"waiting for {', '.join(waiting)}", REMIND_EVERY_S) as tell:
        while waiting:
            for service in tuple(waiting.values()):
                if _is_ready(folder, service, begun):
                    del waiting[service.name]
                    if service.name in fresh:
                        done(service.name, "ready", time.monotonic() - begun)
            tell(f"{time.monotonic() - begun:.0f} s")
            time.sleep(POLL_S if waiting else 0)


def _is_ready(folder: Folder, service: Service, begun: float) -> bool:
    if processes.running(folder, service.name) is None:
        raise Fault(
            f"{service.name} ended while it was starting: see {folder.log(service.name)}; its last lines:\n"
            f"{logs.tail(folder, service.name)}"
        )
    missing = service.missing()
    if missing and time.monotonic() - begun > service.ready_within_s:
        raise Fault(
            f"{service.name} is not ready after {service.ready_within_s:.0f} s: {missing}; its last lines:\n"
            f"{logs.tail(folder, service.name)}"
        )
    return not missing

"""A program with a recorded pid, which any process of the run may stop, start again or end."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

READY_WITHIN = 90.0  # seconds; a loaded machine is slow
GONE_WITHIN = 10.0


class ServiceFailed(RuntimeError):
    """A service did not start, or did not end."""


@dataclass(frozen=True)
class Command:
    """How a program is started; None: with our own environment, as who we are (else a uid and a gid)."""

    argv: tuple[str, ...]
    env: Mapping[str, str] | None = None
    user: tuple[int, int] | None = None
    start_in: Path = Path("/")

    def begin(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Begin it with all that it says going to `log`."""
        uid, gid = self.user or (None, None)
        return subprocess.Popen(
            self.argv,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.start_in,
            user=uid,
            group=gid,
            extra_groups=None if uid is None else [],
            start_new_session=True,
        )


@dataclass
class Process:
    """One program. Its pid lies in `folder`, so that it is ended by whoever comes last."""

    name: str
    folder: Path
    command: Command
    farewell: signal.Signals = signal.SIGKILL
    _child: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def record(self) -> Path:
        return self.folder / f"{self.name}.pid"

    @property
    def running(self) -> bool:
        """Whether it lives; a stopped program does."""
        return recorded(self.record) is not None

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C at the terminal does not reach it."""
        with self.log.open("ab") as log:
            self._child = self.command.begin(log)
        with suppress(psutil.NoSuchProcess):
            born = psutil.Process(self._child.pid).create_time()
            self.record.write_text(f"{self._child.pid} {born} {self.farewell.value}")

    def kill(self) -> None:
        """Kill -9, it and its children.

        Raises:
            ServiceFailed: they still live after ten seconds.
        """
        self._end(signal.SIGKILL, self._tree())

    def terminate(self) -> None:
        """SIGTERM: it may tidy up first.

        Raises:
            ServiceFailed: it still lives after ten seconds.
        """
        self._end(signal.SIGTERM, self._tree()[:1])

    def stop(self) -> None:
        """SIGSTOP, it and its children: alive, its port open, and silent."""
        for each in self._tree():
            _send(each, signal.SIGSTOP)

    def cont(self) -> None:
        """SIGCONT after `stop`."""
        for each in self._tree():
            _send(each, signal.SIGCONT)

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Return when `ready` says so.

        Raises:
            ServiceFailed: the program ended, or was not ready in time; with the end of its log.
        """
        wait_until(ready, lambda: self.running, self.name, self._tail)

    def _tree(self) -> list[psutil.Process]:
        living = recorded(self.record)
        return [] if living is None else _tree(living)

    def _end(self, number: signal.Signals, those: list[psutil.Process]) -> None:
        for each in those:
            _send(each, number)
        if not _gone(those):
            raise ServiceFailed(f"{self.name} did not end within {GONE_WITHIN:.0f} s.")
        if self._child is not None:
            self._child.poll()
        self.record.unlink(missing_ok=True)

    def _tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-15:])


def wait_until(ready: Callable[[], bool], running: Callable[[], bool], name: str, tail: Callable[[], str]) -> None:
    """Return when a service is ready; `tail` gives the end of its log for the error.

    Raises:
        ServiceFailed: it ended, or was not ready in time.
    """
    deadline = time.monotonic() + READY_WITHIN
    while not ready():
        if not running():
            raise ServiceFailed(f"{name} ended while it started. The end of its log:\n{tail()}")
        if time.monotonic() > deadline:
            raise ServiceFailed(f"{name} was not ready in {READY_WITHIN:.0f} s. The end of its log:\n{tail()}")
        time.sleep(0.02)


def recorded(record: Path) -> psutil.Process | None:
    """The living process of a pid file; None where it is gone or its number is another's now."""
    try:
        pid, born, _ = record.read_text().split()
        found = psutil.Process(int(pid))
        return found if abs(found.create_time() - float(born)) < 2.0 and alive(found) else None
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return None


def end_all(records: Iterable[Path]) -> None:
    """End the programs of pid files: each by its own farewell, and by kill -9 where that is not enough."""
    trees: list[psutil.Process] = []
    for record in records:
        living = recorded(record)
        if living is not None:
            tree = _tree(living)
            trees += tree
            _bid_farewell(tree, signal.Signals(int(record.read_text().split()[2])))
    if not _gone(trees):
        for each in trees:
            _send(each, signal.SIGKILL)
        _gone(trees)


def _bid_farewell(tree: list[psutil.Process], farewell: signal.Signals) -> None:
    for each in tree:
        _send(each, signal.SIGCONT)
    for each in tree if farewell is signal.SIGKILL else tree[:1]:
        _send(each, farewell)


def _tree(living: psutil.Process) -> list[psutil.Process]:
    try:
        return [living, *living.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _send(living: psutil.Process, number: signal.Signals) -> None:
    with suppress(psutil.NoSuchProcess):
        living.send_signal(number)


def alive(process: psutil.Process) -> bool:
    """Whether it lives; what its parent has not yet buried does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _gone(those: list[psutil.Process]) -> bool:
    deadline = time.monotonic() + GONE_WITHIN
    while any(map(alive, those)):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True

"""Processes of a measurement: pinned to a core, recorded by pid, ended with the run, and their CPU and memory."""

import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from tests.services import Services, attend, free_port, new_folder
from tests.services.ending import end
from tests.services.locks import hold
from tests.services.process import Command, Process
from tests.services.worlds import choose

_CPU_CLOCK = 2
"""CPUCLOCK_SCHED of Linux's `clock_getres(2)` numbering: what the scheduler gave a process, in nanoseconds."""


@dataclass(frozen=True)
class Cores:
    """Where the proxy runs, and where all else does."""

    proxy: int
    load: int


def cores() -> Cores:
    """The first core is the proxy's, the second for all else; with a single one both share it."""
    mine = sorted(os.sched_getaffinity(0))
    return Cores(mine[0], mine[1 % len(mine)])


class Rig:
    """A folder of the run, its services, and the cores. All that is started here inherits the load's core."""

    def __init__(self, folder: Path, pins: Cores) -> None:
        self.folder = folder
        self.pins = pins
        # A distribution's Redis where one can be had: that from PyPI lacks jemalloc, and takes a third longer.
        self.services = Services(folder, partial(choose, folder, lambda _: None))

    def proxy(self, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None) -> Process:
        """Start a proxy on its core."""
        taskset = shutil.which("taskset")
        pinned = (taskset, "-c", str(self.pins.proxy)) if taskset else ()
        return self._start(name, (*pinned, *map(str, argv)), env)

    @contextmanager
    def engine(self) -> Iterator[int]:
        """The engine; yields its port."""
        port = free_port()
        process = self._start(f"engine-{port}", (sys.executable, "-m", "bench.engine", str(port)), None)
        try:
            yield port
        finally:
            process.kill()

    @contextmanager
    def mock_engine(self, *options: str) -> Iterator[int]:
        """The product's mock engine; yields its port."""
        port = free_port()
        argv = (sys.executable, "-m", "ias.dev.engine", "--port", str(port), *options)
        process = self._start(f"mock-{port}", argv, None)
        try:
            yield port
        finally:
            process.kill()

    def _start(self, name: str, argv: tuple[str, ...], env: Mapping[str, str] | None) -> Process:
        home = self.folder / name
        home.mkdir(exist_ok=True)
        start_in = Path(__file__).parents[1]
        process = Process(name, home, Command(argv, None if env is None else dict(env), start_in=start_in))
        process.start()
        return process


@contextmanager
def open_rig() -> Iterator[Rig]:
    """A folder of a run and this process on the load's core; all that was started ends with it, however it goes."""
    folder, pins, before = new_folder(), cores(), os.sched_getaffinity(0)
    owner = hold(folder / "owner")
    attend(folder)
    os.sched_setaffinity(0, {pins.load})
    try:
        yield Rig(folder, pins)
    finally:
        os.sched_setaffinity(0, before)
        end(folder)
        owner.close()


class Meter:
    """CPU and memory of a process and its children."""

    def __init__(self, process: Process) -> None:
        pid = int(process.record.read_text().split()[0])
        root = psutil.Process(pid)
        self._all = [root, *root.children(recursive=True)]

    def cpu_s(self) -> float:
        """Seconds of CPU that all of them have used: what /proc/<pid>/stat counts, without its ticks of 10 ms."""
        return sum((time.clock_gettime((~each.pid << 3) | _CPU_CLOCK) for each in self._all), 0.0)

    def rss_kb(self) -> float:
        """Resident memory of all of them."""
        return float(sum(each.memory_info().rss for each in self._all)) / 1024

"""Runs of the rig beside one another, and how each ends: by itself, whatever happens to pytest."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.services.process import READY_WITHIN, alive, recorded
from tests.services.run import ROOT

PROBE = """
import pytest
from tests.services import Services

@pytest.mark.parametrize("number", range(4))
def test_probe(embedded: Services, number: int) -> None:
    with open({note!r}, "a") as note:
        note.write(f"{{embedded.folder}} {{embedded.postgres.process.record}} {{embedded.redis.process.record}}\\n")
    {then}
"""


# A run that was begun in the background ignores SIGINT, and so would its children.
PYTEST = """
import signal, sys, pytest
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(pytest.main(sys.argv[1:]))
"""


@pytest.fixture
def probe(tmp_path: Path) -> Iterator["Probe"]:
    probe = Probe(tmp_path)
    yield probe
    for run in probe.runs:
        run.kill()


class Probe:
    """A pytest run of its own, with a conftest that is the rig's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.note = folder / "note"
        self.runs: list[subprocess.Popen[bytes]] = []

    def begin(self, then: str, *flags: str) -> subprocess.Popen[bytes]:
        (self.folder / "conftest.py").write_text("from tests.conftest import *  # noqa: F403\n")
        (self.folder / "test_probe.py").write_text(PROBE.format(note=str(self.note), then=then))
        words = (sys.executable, "-c", PYTEST, "-q", "-c", ROOT / "pyproject.toml", f"--rootdir={self.folder}")
        words += (*flags, self.folder / "test_probe.py")
        self.runs.append(subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL))
        return self.runs[-1]

    def lines(self) -> list[str]:
        return self.note.read_text().splitlines() if self.note.exists() else []

    def folders(self) -> set[Path]:
        return {Path(line.split()[0]) for line in self.lines()}


def test_workers_share_one_set_of_services_and_nothing_is_left(probe: Probe) -> None:
    assert probe.begin("pass", "-n2").wait(120) == 0
    assert len(probe.lines()) == 4
    assert len(set(probe.lines())) == 1
    assert not any(folder.exists() for folder in probe.folders())


def test_two_runs_at_once_do_not_meet(tmp_path: Path) -> None:
    probes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        probes.append(Probe(tmp_path / name))
    runs = [each.begin("pass") for each in probes]
    assert [run.wait(120) for run in runs] == [0, 0]
    assert len(probes[0].folders() | probes[1].folders()) == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_services_end_with_their_run_however_it_ends(probe: Probe, number: signal.Signals) -> None:
    run = probe.begin("import time; time.sleep(60)")
    _until(lambda: probe.lines() != [])
    folder, *records = map(Path, probe.lines()[0].split())
    living = [process for process in map(recorded, records) if process]
    assert len(living) == 2
    run.send_signal(number)
    run.wait(60)
    _until(lambda: not folder.exists())
    assert not any(map(alive, living))


def test_a_killed_worker_takes_nothing_from_the_others(probe: Probe) -> None:
    kill_one = (
        "import os, pathlib; mark = pathlib.Path({!r}); (mark.exists() or (mark.touch(), os.kill(os.getpid(), 9)))"
    )
    run = probe.begin(kill_one.format(str(probe.folder / "mark")), "-n2")
    assert run.wait(120) == 1
    assert len(probe.folders()) == 1
    assert not any(folder.exists() for folder in probe.folders())
    assert len(probe.lines()) == 4


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + READY_WITHIN
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)

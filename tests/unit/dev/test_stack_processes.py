"""Processes of the embedded stack: started detached, told from strangers with the same pid, ended by pid."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ias.dev import processes
from ias.dev.processes import Launch, Record
from ias.dev.state import Folder, prepare

ENV = {"PATH": "/usr/bin:/bin"}
SLEEPER = (sys.executable, "-c", "import time; print('hello', flush=True); time.sleep(60)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
)
PARENT_SAYS = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid, flush=True)
time.sleep(60)
"""
PARENT = (sys.executable, "-c", PARENT_SAYS)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    folder = Folder(tmp_path / ".ias")
    prepare(folder)
    yield folder
    for path in (folder.root / "run").glob("*.pid"):
        processes.stop(folder, path.stem, signal.SIGKILL, 5)


def written(folder: Folder, name: str) -> str:
    """What the process has said; waits until it has said something."""
    for _ in range(500):
        if text := folder.log(name).read_text():
            return text
        processes.time.sleep(0.01)
    raise AssertionError(f"{name} says nothing")


def test_a_process_runs_in_a_session_of_its_own_and_writes_to_its_log(folder: Folder) -> None:
    record = processes.start(folder, Launch("sleeper", SLEEPER), ENV)
    assert os.getsid(record.pid) == record.pid
    assert written(folder, "sleeper") == "hello\n"
    assert processes.running(folder, "sleeper") == record


def test_a_process_is_ended_by_its_recorded_pid_and_the_record_goes(folder: Folder) -> None:
    record = processes.start(folder, Launch("sleeper", SLEEPER), ENV)
    assert processes.stop(folder, "sleeper", signal.SIGTERM, 10)
    assert not processes.alive(record)
    assert not folder.pid("sleeper").exists()


def test_a_process_that_does_not_listen_is_killed_and_that_is_told(folder: Folder) -> None:
    record = processes.start(folder, Launch("deaf", STUBBORN), ENV)
    written(folder, "deaf")
    assert not processes.stop(folder, "deaf", signal.SIGTERM, 0.2)
    assert not processes.alive(record)


def test_a_pid_that_was_given_to_a_stranger_is_neither_running_nor_ended(folder: Folder) -> None:
    stranger = processes.start(folder, Launch("stranger", SLEEPER), ENV)
    reused = Record(stranger.pid, stranger.born.replace(" ", " 9", 1))
    folder.pid("gateway").write_bytes(msgspec.json.encode(reused))
    assert processes.running(folder, "gateway") is None
    assert processes.forget_stale(folder) == (
        f"gateway (pid {stranger.pid}) ended by itself or was killed; its stale record was removed.",
    )
    assert processes.alive(stranger)
    assert not folder.pid("gateway").exists()


def test_a_stale_record_is_removed_in_one_sentence_and_a_live_one_stays(folder: Folder) -> None:
    gone = processes.start(folder, Launch("gone", SLEEPER), ENV)
    kept = processes.start(folder, Launch("kept", SLEEPER), ENV)
    os.kill(gone.pid, signal.SIGKILL)
    os.waitpid(gone.pid, 0)
    (remark,) = processes.forget_stale(folder)
    assert remark.startswith(f"gone (pid {gone.pid})")
    assert processes.running(folder, "kept") == kept


def test_an_unreadable_record_is_removed(folder: Folder) -> None:
    folder.pid("api").write_text("12\n")
    assert processes.forget_stale(folder) == ("The record of api was unreadable; it was removed.",)
    assert not folder.pid("api").exists()


def test_children_of_a_killed_process_are_ended_with_its_stale_record(folder: Folder) -> None:
    leader = processes.start(folder, Launch("leader", PARENT), ENV)
    child = int(written(folder, "leader"))
    os.kill(leader.pid, signal.SIGKILL)
    os.waitpid(leader.pid, 0)
    assert processes.born(child)
    processes.forget_stale(folder)
    for _ in range(500):
        if not processes.born(child):
            break
        processes.time.sleep(0.01)
    assert not processes.born(child)


def test_a_log_that_grew_too_big_is_turned_at_the_next_start(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MAX_LOG_BYTES", 3)
    folder.log("sleeper").write_text("older")
    processes.start(folder, Launch("sleeper", SLEEPER), ENV)
    assert written(folder, "sleeper") == "hello\n"
    assert folder.log("sleeper").with_suffix(".log.1").read_text() == "older"

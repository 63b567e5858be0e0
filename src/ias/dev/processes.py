"""Processes that outlive the command that started them: started in a session of their own, ended by recorded pid."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from ias.dev.state import Folder, write_private

POLL_S = 0.02
KILL_WAIT_S = 5.0
MAX_LOG_BYTES = 16 * 1024 * 1024


class Account(msgspec.Struct, frozen=True):
    """The system user that a process runs as, where that is not the caller."""

    name: str
    uid: int
    gid: int


class Launch(msgspec.Struct, frozen=True):
    """How a process is started."""

    name: str
    command: tuple[str, ...]
    env: dict[str, str] = {}
    account: Account | None = None


class Record(msgspec.Struct, frozen=True):
    """A started process. `born` tells it from a later one that was given the same pid."""

    pid: int
    born: str


def born(pid: int) -> str:
    """When a process started, in a form that no other process with this pid shares; empty where none runs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return _born_by_ps(pid) if not Path("/proc/self/stat").exists() else ""
    if fields[0] in "ZX":
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {fields[19]}"


def start(folder: Folder, launch: Launch, env: Mapping[str, str]) -> Record:
    """Start a process in its own session, with its output in its log, and record it."""
    log = folder.log(launch.name)
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    owner = launch.account
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - the command is ours
            launch.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**env, **launch.env},
            cwd="/" if owner else folder.root.parent,
            start_new_session=True,
            user=owner.uid if owner else None,
            group=owner.gid if owner else None,
            extra_groups=[] if owner else None,
        )
    record = Record(child.pid, born(child.pid))
    write_private(folder.pid(launch.name), msgspec.json.encode(record))
    return record


def recorded(folder: Folder, name: str) -> Record | None:
    """What was recorded when the process was started, running or not."""
    try:
        return msgspec.json.decode(folder.pid(name).read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def running(folder: Folder, name: str) -> Record | None:
    """The process, where the one that was recorded still runs."""
    record = recorded(folder, name)
    return record if record is not None and alive(record) else None


def alive(record: Record) -> bool:
    """Whether exactly this process still runs; one that ended and is our child is taken leave of."""
    with suppress(ChildProcessError):
        os.waitpid(record.pid, os.WNOHANG)
    return record.born != "" and born(record.pid) == record.born


def forget_stale(folder: Folder) -> tuple[str, ...]:
    """Remove records of processes that no longer run, end what they left behind, and say so, a sentence each."""
    remarks: list[str] = []
    for path in sorted((folder.root / "run").glob("*.pid")):
        record = recorded(folder, path.stem)
        if record is not None and alive(record):
            continue
        path.unlink(missing_ok=True)
        if record is None:
            remarks.append(f"The record of {path.stem} was unreadable; it was removed.")
            continue
        _end_orphans(record)
        remarks.append(f"{path.stem} (pid {record.pid}) ended by itself or was killed; its stale record was removed.")
    return tuple(remarks)


def stop(folder: Folder, name: str, by: signal.Signals, grace_s: float) -> bool:
    """End a process by its recorded pid, by force after `grace_s` seconds; False where force was needed."""
    record = recorded(folder, name)
    gently = True
    if record is not None and alive(record):
        os.kill(record.pid, by)
        gently = _gone_within(record, grace_s)
        if not gently:
            os.killpg(record.pid, signal.SIGKILL)
            _gone_within(record, KILL_WAIT_S)
    if record is not None:
        _end_orphans(record)
    folder.pid(name).unlink(missing_ok=True)
    return gently


def _gone_within(record: Record, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive(record):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
    return True


def _end_orphans(leader: Record) -> None:
    """Children share their leader's process group, whose number is not given away while one of them lives."""
    boot = leader.born.partition(" ")[0]
    if boot in ("", "ps") or boot != born(os.getpid()).partition(" ")[0] or born(leader.pid):
        return
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader.pid, signal.SIGKILL)


def _born_by_ps(pid: int) -> str:
    told = subprocess.run(  # noqa: S603 - the command is ours
        ("/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)), capture_output=True, text=True, check=False
    )
    stat, _, since = told.stdout.strip().partition(" ")
    return "" if stat.startswith("Z") or not since else f"ps {since.strip()}"

"""What a run leaves: `latest.json`, with where and on what it was measured."""

import os
import platform
import subprocess
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench.bar import Demand, demands
from bench.records import Effort, Results

ROOT = Path(__file__).parents[1]
Value = str | float | dict[str, str | list[float]]


class Machine(msgspec.Struct):
    """What it was measured on. `load_before` is the load average of a minute when the run began."""

    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    load_before: float


class Report(msgspec.Struct):
    """The whole of `latest.json`. Times are microseconds, memory KB; of each figure the median of its turns.

    `paced_many_…` and the memory are of `rounds` of `seconds` with `streams` streams; all else of `turns` of `look`
    seconds, and other paced figures of 200 streams at most.
    """

    commit: str
    changed: bool
    measured_at: str
    turns: int
    look: float
    rounds: int
    seconds: float
    streams: int
    machine: Machine
    rows: list[dict[str, Value]]
    absent: dict[str, str]
    bar: list[Demand]


def machine() -> Machine:
    """This machine, now."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        memory_gib=round(memory, 1),
        kernel=platform.release(),
        python=platform.python_version(),
        load_before=round(os.getloadavg()[0], 2),
    )


def report(results: Results, place: Machine, effort: Effort) -> Report:
    """All of a run."""
    return Report(
        commit=commit(),
        changed=changed(),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        turns=effort.turns,
        look=effort.look,
        rounds=effort.rounds,
        seconds=effort.seconds,
        streams=effort.streams,
        machine=place,
        rows=[_row(name, results) for name in results.records],
        absent=results.absent,
        bar=demands(results.rows()),
    )


def commit() -> str:
    """What was measured."""
    return _git("rev-parse", "HEAD")


def changed() -> bool:
    """Whether it was changed since that commit."""
    return bool(_git("status", "--porcelain", "--", "src"))


def write(whole: msgspec.Struct, path: Path) -> None:
    """Put it into a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(whole)) + b"\n")


def _row(name: str, results: Results) -> dict[str, Value]:
    record = results.records[name]
    medians: dict[str, Value] = {figure: round(value, 3) for figure, value in record.medians().items()}
    spread: Value = {figure: _ends(turns.values()) for figure, turns in record.figures.items()}
    missing: Value = dict[str, str | list[float]](record.missing)
    return {"name": name, "version": record.peer.version, **medians, "spread": spread, "missing": missing}


def _ends(seen: Collection[float]) -> list[float]:
    return [round(min(seen), 3), round(max(seen), 3)]


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    done = subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()

"""The benches of accounting, end to end with tiny numbers: that they run and count everything, never how fast."""

import subprocess
import sys
from pathlib import Path

import msgspec

from bench import intake, rebuild
from bench.report import ROOT
from tests.services import Services


def run(module: str, *arguments: str) -> None:
    argv = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stderr


def test_a_rebuild_tells_redis_of_every_key(tmp_path: Path) -> None:
    out = tmp_path / "rebuild.json"

    run("bench.rebuild", "--keys=1000", "--organisations=10", f"--out={out}")

    report = msgspec.json.decode(out.read_bytes(), type=rebuild.Report)
    assert (report.keys, report.organisations) == (1000, 10)
    assert report.admissions_quiet.count > 0
    assert report.redis_mb > 0


def test_every_backlog_is_drained_whole(services: Services, tmp_path: Path) -> None:
    services.need("rabbitmq")
    out = tmp_path / "intake.json"

    run("bench.intake", "--events=2000", "--backlog=2000", f"--out={out}")

    report = msgspec.json.decode(out.read_bytes(), type=intake.Report)
    names = ["billing", "analytics", "both", "worker, from the queue", "worker, from Redis"]
    assert [drain.name for drain in report.drains] == names
    assert report.drains[-1].samples[-1].outbox == 0
    assert report.drains[-1].samples[-1].booked == 2000 * 4

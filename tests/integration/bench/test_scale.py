"""The bench of the management API, end to end with tiny numbers: that it runs and asks everything, never how fast."""

import subprocess
import sys
from pathlib import Path

import msgspec

from bench import scale
from bench.mix import ROUTES
from bench.report import ROOT


def test_a_small_platform_is_seeded_and_every_route_is_asked(tmp_path: Path) -> None:
    out = tmp_path / "scale.json"
    argv = [sys.executable, "-m", "bench.scale", "--quick", f"--out={out}"]

    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=170, check=False)

    assert done.returncode == 0, done.stderr
    report = msgspec.json.decode(out.read_bytes(), type=scale.Report)
    assert report.tries[-1].failures == {}
    assert {row.route for row in report.rows} & {route.name for route in ROUTES}
    assert report.rows[-1].route.startswith("POST /auth/login")
    assert report.costs.api_us > 0

"""The house's own rules, by semgrep: first on the examples that each of them has, then on the code."""

import os
import subprocess
from collections.abc import Iterator

import msgspec

from tests.security.findings import AUDIT, ROOT, Finding

RULES = "tests/security/rules"
LOOKED_AT = ("src", "migrations", "images", "scripts", "bench", "noxfile.py", "hatch_build.py")
QUIET = ("--metrics=off", "--disable-version-check", "--quiet")


def findings() -> Iterator[Finding]:
    """What the rules find.

    Raises:
        RuntimeError: a rule does not find what its examples say, or semgrep fails.
    """
    _semgrep("scan", "--test", RULES)
    report = msgspec.json.decode(_semgrep("scan", f"--config={RULES}", "--json", *LOOKED_AT))
    if report["errors"]:
        raise RuntimeError(f"semgrep could not read everything: {report['errors'][:3]}")
    for found in report["results"]:
        rule = found["check_id"].rpartition(".")[2]
        yield Finding(rule, found["path"], found["start"]["line"], found["extra"]["message"])


def _semgrep(command: str, *arguments: str) -> bytes:
    environment = {**os.environ, "PATH": f"{AUDIT}:{os.environ['PATH']}", "SEMGREP_SEND_METRICS": "off"}
    argv = [AUDIT / "semgrep", command, *QUIET, *arguments]
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, timeout=900)
    if done.returncode != 0:
        raise RuntimeError(f"semgrep {command} failed:\n{(done.stdout + done.stderr).decode()[-3000:]}")
    return done.stdout

"""Secrets in the working tree, or in all commits, by kingfisher; and our own API keys, by their checksum."""

import re
import subprocess
from collections.abc import Iterator

import msgspec

from ias.contract import keys
from tests.security.findings import AUDIT, ROOT, Finding

OURS = re.compile(rb"\bias_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}\b")
FOUND = 200
"""The exit status that says so."""
NOT_OURS = (
    ".venv",
    ".cache",
    ".nox",
    ".ias",
    "site",
    "dist",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
)


def findings(*, history: bool = False) -> Iterator[Finding]:
    """Whatever looks like a secret. Nobody is asked whether it opens anything.

    Raises:
        RuntimeError: kingfisher fails.
    """
    said = "looks like a secret: if it is one, it is no longer: draw it anew, then take it out"
    # The first line of the report has what was found; the one after it, how the search went.
    for line in _kingfisher(history=history).splitlines()[:1]:
        for found in msgspec.json.decode(line)["findings"]:
            where = found["finding"]
            path = str(where["path"]).removeprefix("./").removeprefix(f"{ROOT}/")
            yield Finding(found["rule"]["id"], path, int(where.get("line") or 0), said)
    for path in tracked():
        for number, text in enumerate((ROOT / path).read_bytes().split(b"\n"), start=1):
            if any(keys.tag_of(token) is not None for token in OURS.findall(text)):
                yield Finding("ias.key", path, number, "is an API key of ours, with a checksum that is right")


def tracked() -> list[str]:
    """The files that Git has, or would take."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(argv, cwd=ROOT, capture_output=True, timeout=60, check=True).stdout.decode()
    return [path for path in listed.split("\0") if (ROOT / path).is_file() and not (ROOT / path).is_symlink()]


def _kingfisher(*, history: bool) -> str:
    argv = [AUDIT / "kingfisher", "scan", ".", "--no-validate", "--no-update-check", "--redact", "--format=json"]
    argv += [f"--git-history={'full' if history else 'none'}", "--no-binary"]
    argv += [f"--exclude={folder}" for folder in NOT_OURS]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=900)
    if done.returncode not in {0, FOUND, FOUND + 5}:
        raise RuntimeError(f"kingfisher failed ({done.returncode}):\n{done.stderr[-2000:]}")
    return done.stdout

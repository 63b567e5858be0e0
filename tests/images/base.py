"""Stands in for the image that the Dockerfiles begin with: the same Debian and the same Python, by debootstrap.

Debian's own Python 3.13 is at hand as `/usr/local/bin/python`, with pip; the official image has built its own there.
"""

import os
import shutil
import subprocess
from pathlib import Path

from tests.services import roots
from tests.services.locks import locked
from tests.services.settings import SETTINGS

SUITE, PYTHON = "trixie", "3.13"
PACKAGES = ("ca-certificates", "netbase", "python3", "python3-dev", "python3-pip", "python3-venv")
LINKS = {"python": "/usr/bin/python3", "python3": "/usr/bin/python3", "pip": "/usr/bin/pip"}


def why_not() -> str | None:
    """What keeps this machine from having it; None where nothing does."""
    return roots.why_not("trixie")


def prepared() -> Path:
    """The folder of the root, built once."""
    root = SETTINGS.cache / f"{SUITE}-python-{PYTHON}"
    if not root.is_dir():
        root.parent.mkdir(parents=True, exist_ok=True)
        with locked(root.with_suffix(".lock")):
            if not root.is_dir():
                _build(root)
    return root


def private(*argv: str) -> tuple[str, ...]:
    """A command with mounts of its own, which end with it."""
    return ("unshare", "--mount", "--propagation", "private", *argv)


def _build(root: Path) -> None:
    building = root.with_name(f"{root.name}.building-{os.getpid()}")
    shutil.rmtree(building, ignore_errors=True)
    include = f"--include={','.join(PACKAGES)}"
    made = private("debootstrap", "--variant=minbase", include, SUITE, str(building))
    subprocess.run(made, env=roots.ENV, check=True, capture_output=True, timeout=600)
    for name, target in LINKS.items():
        (building / "usr/local/bin" / name).symlink_to(target)
    building.rename(root)

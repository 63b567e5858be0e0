"""`python images/sbom.py FOLDER [IMAGE…]`: a CycloneDX bill of an image's Python packages, of its lock, into FOLDER.

Run by `nox -s sbom` in the environment that has cyclonedx-py. The locks are for every platform; an image has what their
markers let onto Linux and its Python. Debian's packages are in the bill that BuildKit makes (`docker build --sbom`).
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
LOCKS = {"ias": "image", "ias-gateway": "gateway"}
BASE = re.compile(r"^ARG PYTHON=python:(\d+\.\d+)\.(\d+)", re.MULTILINE)


def bill(lock: Path) -> str:
    """The bill of what a lock brings into an image, as JSON.

    Raises:
        CalledProcessError: cyclonedx-py does not take the lock.
    """
    argv = (
        *(sys.executable, "-m", "cyclonedx_py", "requirements", "-", "--pyproject", str(ROOT / "pyproject.toml")),
        *("--mc-type", "application", "--spec-version", "1.6", "--output-format", "JSON"),
        *("--output-reproducible", "--validate"),
    )
    within = "\n".join(installed(lock.read_text()))
    return subprocess.run(argv, input=within, capture_output=True, text=True, check=True).stdout  # noqa: S603 - ours


def installed(lock: str) -> Iterator[str]:
    """The requirements of a lock that hold in the images, with their hashes."""
    there = environment()
    for line in re.sub(r"\\\n", " ", lock).splitlines():
        asked, *hashes = line.split(" --hash=")
        marker = Requirement(asked).marker if asked.strip() else None
        if asked.strip() and (marker is None or marker.evaluate(there)):
            name = asked.partition(";")[0].strip()
            yield " --hash=".join((name, *(each.strip() for each in hashes)))


def environment() -> dict[str, str]:
    """What markers ask for, in an image."""
    found = BASE.search((ROOT / "images/ias/Dockerfile").read_text())
    if found is None:
        raise LookupError("images/ias/Dockerfile names no Python")
    linux = {"os_name": "posix", "sys_platform": "linux", "platform_system": "Linux"}
    python = {"python_version": found[1], "python_full_version": f"{found[1]}.{found[2]}"}
    return {**default_environment(), **linux, **python}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for image in sys.argv[2:] or LOCKS:
        (folder / f"{image}.cdx.json").write_text(bill(ROOT / "requirements" / f"{LOCKS[image]}.txt"))

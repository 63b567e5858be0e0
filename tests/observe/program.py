"""Prometheus and promtool: the machine's own, or Debian's, unpacked into the user's cache without being installed."""

import shutil
import subprocess
from pathlib import Path

from tests.services.locks import locked
from tests.services.roots import ENV
from tests.services.settings import SETTINGS

PACKAGE = "prometheus"
HOME = SETTINGS.cache / "debian-prometheus"


class NoPrometheus(RuntimeError):
    """It cannot be had here; says why."""


def program(name: str) -> Path:
    """`prometheus` or `promtool`.

    Raises:
        NoPrometheus: it is not installed, and there is no Debian to have it from.
    """
    installed = shutil.which(name)
    if installed:
        return Path(installed)
    if not (HOME / "usr/bin" / name).exists():
        with locked(HOME.with_suffix(".lock")):
            if not (HOME / "usr/bin" / name).exists():
                _unpack()
    return HOME / "usr/bin" / name


def _unpack() -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise NoPrometheus("Prometheus is not installed, and there is no apt-get to have Debian's with: install it.")
    into = HOME.with_name(f"{HOME.name}.unpacking")
    shutil.rmtree(into, ignore_errors=True)
    into.mkdir(parents=True)
    if _run(into, "apt-get", "download", PACKAGE).returncode:
        _run(into, "apt-get", "-o", "DPkg::Lock::Timeout=120", "update")
        again = _run(into, "apt-get", "download", PACKAGE)
        if again.returncode:
            raise NoPrometheus(f"apt-get download {PACKAGE}: {again.stderr[-500:]}")
    (package,) = into.glob("*.deb")
    unpacked = _run(into, "dpkg", "-x", package.name, ".")
    if unpacked.returncode:
        raise NoPrometheus(f"dpkg -x {package.name}: {unpacked.stderr[-500:]}")
    package.unlink()
    into.rename(HOME)


def _run(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=folder, env=ENV, capture_output=True, text=True, timeout=300, check=False)

"""Where a Chromium comes from: Debian's in the private root that services come from, or the machine's own.

The root's is the first where the root is there: it brings its fonts, so that pictures look the same everywhere.
Where there can be no root, as in containers that withhold the right to mount, root has apt-get install it.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.services import roots

HERE = Path(__file__).parent
ROOT = "trixie"
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--font-render-hinting=none", "--force-color-profile=srgb"),
)


@dataclass(frozen=True)
class Chromium:
    """A program, and what it is given."""

    program: str
    env: Mapping[str, str] = field(default_factory=dict)


class NoChromium(RuntimeError):
    """This machine has none, and cannot have one; the message says why."""


def chromium(say: Callable[[str], None]) -> Chromium:
    """The Chromium of this machine; the first call on a machine may build the private root, or install a package.

    Raises:
        NoChromium: there is none to be had.
    """
    reason = roots.why_not(ROOT)
    if reason is None and roots.RECIPES[ROOT].folder.is_dir():
        return _rooted(say)
    found = _on_path()
    if found is None and reason is None:
        return _rooted(say)
    found = found or _installed(say)
    if found is None:
        raise NoChromium(f"no Chromium on PATH, and none out of Debian: {reason}")
    return Chromium(found)


def _rooted(say: Callable[[str], None]) -> Chromium:
    try:
        root = roots.prepare(ROOT, say).root
    except roots.RootNotBuilt as error:
        raise NoChromium(str(error).splitlines()[0]) from error
    fonts = {"IAS_TEST_BROWSER_FONTS": str(HERE), "FONTCONFIG_FILE": "/mnt/fonts.conf"}
    return Chromium(str(HERE / "enter.sh"), {**os.environ, "IAS_TEST_BROWSER_ROOT": str(root), **fonts})


def _on_path() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


def _installed(say: Callable[[str], None]) -> str | None:
    """Debian's package in the system itself: for containers whose root user may mount nothing."""
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        return None
    say(f"installing {NAMES[0]}")
    apt = ("apt-get", "-o", "DPkg::Lock::Timeout=120")
    for argv in ((*apt, "update"), (*apt, "install", "-y", "--no-install-recommends", NAMES[0])):
        subprocess.run(argv, env=roots.ENV, capture_output=True, timeout=300)
    return _on_path()

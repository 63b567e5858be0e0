"""Where a Chromium comes from: Debian's in the private root that services come from, or the machine's own.

The root's is the first where the root is there: it brings its fonts, so that pictures look the same everywhere.
"""

import os
import shutil
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
    """The Chromium of this machine; the first call on a machine may build the private root.

    Raises:
        NoChromium: there is none to be had.
    """
    reason = roots.why_not(ROOT)
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is not None and (reason or not roots.RECIPES[ROOT].folder.is_dir()):
        return Chromium(found)
    if reason is not None:
        raise NoChromium(f"no Chromium on PATH, and none out of Debian: {reason}")
    try:
        root = roots.prepare(ROOT, say).root
    except roots.RootNotBuilt as error:
        raise NoChromium(str(error).splitlines()[0]) from error
    fonts = {"IAS_TEST_BROWSER_FONTS": str(HERE), "FONTCONFIG_FILE": "/mnt/fonts.conf"}
    return Chromium(str(HERE / "enter.sh"), {**os.environ, "IAS_TEST_BROWSER_ROOT": str(root), **fonts})

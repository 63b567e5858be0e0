"""Somebody who sits at a terminal of 80 columns: sees both streams, and is asked."""

import os
import pty
import re
import select
import subprocess
import termios
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tests.integration.cli.shell import Shell
from tests.product.processes import BIN

WITHIN_S = 60
_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


@dataclass
class Seen:
    """How a command ended, and what was to be seen."""

    code: int
    text: str


def sat(shell: Shell, *words: str, typed: Mapping[str, str] = MappingProxyType({}), **more: str) -> Seen:
    """Run `ias-admin` to its end. `typed` is what is answered to whom, by what they ask, in this order."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 80))
    told = {name: value for name, value in (os.environ | shell.env()).items() if value}
    env = {**told, "TERM": "xterm", **more}
    env.pop("COLUMNS", None)
    argv = [str(BIN / "ias-admin"), *words]
    done = subprocess.Popen(argv, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    try:
        # The blank after the colon comes once nothing more is shown, and what was typed before is dropped.
        text = "".join(_read(ours, f"{asks}[^\n]*: ", answer) for asks, answer in typed.items()) + _read(ours)
        return Seen(done.wait(WITHIN_S), _CODES.sub("", text))
    finally:
        done.kill()
        done.wait()
        os.close(ours)


def _read(terminal: int, asks: str = "", answer: str = "") -> str:
    """What is written until somebody asks for this, who gets the answer; or to the end."""
    read = b""
    while select.select([terminal], [], [], WITHIN_S)[0]:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the other end is closed
            break
        read += piece
        if asks and re.search(asks.encode(), read):
            os.write(terminal, f"{answer}\n".encode())
            break
    return read.decode()

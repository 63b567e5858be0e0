"""The blocks of a page that are commands, run in their order in one shell, and what each is said to print.

A block of `sh` or `python` is run unless `<!-- not run: why -->` stands before it. A block of `text` is what the last
one prints: each of its lines, in this order, with `…` for whatever; unless `<!-- not compared: why -->` stands before
it.
"""

import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

RUN = ("sh", "python")
_BLOCK = re.compile(r"^(?P<note><!-- .*? -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_END = "\x01 end of a block"


@dataclass
class Block:
    """A block that is run."""

    language: str
    text: str
    said: list[str] = field(default_factory=list)
    """Lines that it is said to print."""

    @property
    def shell(self) -> str:
        """The same for a shell; Python is the tests' own, which has OpenAI's SDK."""
        return self.text if self.language == "sh" else f"'{sys.executable}' - <<'THE_END'\n{self.text}THE_END\n"


def read(page: Path) -> list[Block]:
    """The blocks of a page that are run."""
    found: list[Block] = []
    for match in _BLOCK.finditer(page.read_text()):
        note = match["note"] or ""
        if match["language"] in RUN and not note.startswith("<!-- not run: "):
            found.append(Block(match["language"], match["text"]))
        elif match["language"] == "text" and not note.startswith("<!-- not compared: "):
            found[-1].said = match["text"].splitlines()
    return found


def run(blocks: list[Block], folder: Path, env: Mapping[str, str]) -> list[str]:
    """Run them in a folder, as somebody does who stops at the first command that fails; what each printed."""
    script = "".join(f"{block.shell}\necho; echo '{_END}'; echo '{_END}' >&2\n" for block in blocks)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    printed = done.stdout.split(f"\n{_END}\n")
    told = f"{printed[-1]}\n{done.stderr}"
    assert done.returncode == 0, f"{blocks[len(printed) - 1].text}\nended with {done.returncode}:\n{told}"
    return printed[:-1]


def missing(block: Block, printed: str) -> str:
    """The first line that it is said to print and does not; empty where there is none."""
    lines = iter(printed.splitlines())
    for said in block.said:
        pattern = re.compile(".*?".join(re.escape(part.strip()) for part in said.split("…")))
        if not any(pattern.search(" ".join(line.split())) or pattern.search(line) for line in lines):
            return said
    return ""

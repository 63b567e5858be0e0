"""What of the tree goes to who builds an image: the rules of `.dockerignore`, as its language has them."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def kept(path: Path) -> Iterator[Path]:
    """The files of a path that are not ignored."""
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if each.is_file() and not ignored(each.relative_to(ROOT).as_posix()):
            yield each


def ignored(name: str) -> bool:
    """Whether a file of the tree stays at home: the last rule that fits it, or a folder that it is in, decides."""
    parts = name.split("/")
    above = ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]
    verdict = False
    for rule, stays in _rules():
        if any(rule.fullmatch(each) for each in above):
            verdict = stays
    return verdict


@cache
def _rules() -> tuple[tuple[re.Pattern[str], bool], ...]:
    lines = ((ROOT / ".dockerignore").read_text()).splitlines()
    return tuple(
        (_pattern(line.removeprefix("!")), not line.startswith("!"))
        for line in lines
        if line and not line.startswith("#")
    )


def _pattern(glob: str) -> re.Pattern[str]:
    text = re.escape(glob).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
    return re.compile(text)

"""The files that pages load, from here alone: each by a name that says what is in it, so that it is kept for ever."""

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

FOLDER: Final = Path(__file__).parents[1] / "static"
VENDORED: Final = FOLDER / "vendor" / "vendored.json"
_KINDS: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_HASHED = 16


class Vendored(msgspec.Struct, frozen=True):
    """Where a file that is not ours comes from."""

    package: str
    version: str
    license: str
    files: dict[str, str]
    """The SHA-256 of each, in hexadecimal, by its path in the folder."""


class Asset(msgspec.Struct, frozen=True):
    """A file that pages load: `name` is what it is asked for by, `plain` what it is called in its folder."""

    name: str
    plain: str
    kind: str
    content: bytes
    packed: bytes


def vendored() -> tuple[Vendored, ...]:
    """What is not ours, by package."""
    return msgspec.json.decode(VENDORED.read_bytes(), type=tuple[Vendored, ...])


@cache
def assets() -> Mapping[str, Asset]:
    """All that pages load, by the names that they are asked for."""
    return {each.name: each for each in map(_asset, sorted(_files()))}


@cache
def addresses() -> Mapping[str, str]:
    """The path of each file by the name that it has in its folder."""
    return {each.plain: f"/static/{each.name}" for each in assets().values()}


def address(plain: str) -> str:
    """The path of a file: `console.css` becomes `/static/console.<hash>.css`."""
    return addresses()[plain]


@cache
def icon(name: str) -> str:
    """The SVG of an icon of Lucide, to stand in a page beside text that says the same."""
    svg = (FOLDER / "vendor" / "lucide" / f"{name}.svg").read_text()
    inner = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    parts = "".join(line.strip() for line in inner.splitlines())
    return f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">{parts}</svg>'


def _files() -> list[Path]:
    return [path for folder in (FOLDER, FOLDER / "vendor") for path in folder.iterdir() if path.suffix in _KINDS]


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    name = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:_HASHED]}{path.suffix}"
    return Asset(name, path.name, _KINDS[path.suffix], content, gzip.compress(content, mtime=0))

"""The faces of contexts open what they name only when it is asked for: a command of the shell starts no web server."""

import ast
from collections.abc import Callable
from importlib import import_module
from pathlib import Path


def opened(face: str, file: str) -> Callable[[str], object]:
    """The `__getattr__` of a face.

    What the face imports under `TYPE_CHECKING` is what it gives; it is imported when somebody first asks for it.

    Args:
        face: the package, its `__name__`.
        file: the source of its face, its `__file__`.
    """
    rooms = _rooms(Path(file))

    def ask(name: str) -> object:
        if name not in rooms:
            raise AttributeError(f"module {face!r} has no attribute {name!r}")
        return getattr(import_module(rooms[name]), name)

    return ask


def _rooms(file: Path) -> dict[str, str]:
    """Which module each name comes from."""
    imports = (node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.ImportFrom))
    return {alias.name: node.module or "" for node in imports for alias in node.names}

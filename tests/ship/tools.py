"""The programs that look at what is shipped: in `.cache/ship`, which nox makes of requirements/ship.txt."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".cache" / "ship"


def tool(name: str, *arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program of that environment in the repository's root; says how to make it where it is not there."""
    program = HOME / "bin" / name
    if not program.exists():
        raise FileNotFoundError(f"{program} is not there: run `.venv/bin/nox -s ship` once, it makes the environment.")
    asked = [str(program), *map(str, arguments)]
    return subprocess.run(asked, cwd=ROOT, input=stdin, capture_output=True, text=True, timeout=120, check=False)


def python(*arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run that environment's interpreter, which has the libraries that the product does not."""
    return tool("python", *arguments, stdin=stdin)

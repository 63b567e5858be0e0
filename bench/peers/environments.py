"""Environments of the peers: each in a folder of its own in the user's cache, never in the project's."""

import subprocess
import sys
from pathlib import Path

from bench.peers.peer import Absent
from tests.services.locks import locked
from tests.services.settings import SETTINGS

INSTALL_WITHIN_S = 600
HOME = SETTINGS.cache / "bench"


def environment(name: str, *packages: str) -> Path:
    """The folder of programs of an environment that holds these packages; made once.

    Raises:
        Absent: they cannot be installed.
    """
    HOME.mkdir(parents=True, exist_ok=True)
    home = HOME / name
    with locked(HOME / f"{name}.lock"):
        if not (home / "complete").exists():
            _uv("venv", "--quiet", "--clear", f"--python={sys.executable}", str(home))
            _uv("pip", "install", "--quiet", f"--python={home / 'bin' / 'python'}", *packages)
            (home / "complete").touch()
    return home / "bin"


def output(argv: tuple[str, ...], within_s: float = INSTALL_WITHIN_S, start_in: Path | None = None) -> str:
    """What a command says.

    Raises:
        Absent: it is not there, fails, or takes too long.
    """
    try:
        done = subprocess.run(
            argv,
            check=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=within_s,
            cwd=start_in,
        )
    except FileNotFoundError:
        raise Absent(f"{argv[0]} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise Absent(f"{' '.join(argv)} failed: {str(error.output)[-500:].strip()}") from None
    except subprocess.TimeoutExpired:
        raise Absent(f"{' '.join(argv)} took longer than {within_s:.0f} s") from None
    return done.stdout


def _uv(*arguments: str) -> None:
    output((str(Path(sys.executable).with_name("uv")), *arguments))

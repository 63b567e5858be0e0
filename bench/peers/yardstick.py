"""What a proxy in plain Python costs that does nothing but pass on: uvicorn and aiohttp."""

from pathlib import Path

from bench.peers.environments import environment
from bench.peers.peer import Launch, Peer, program

PACKAGES = ("aiohttp==3.14.5", "httptools==0.7.1", "uvicorn==0.54.0", "uvloop==0.22.1")


def offer() -> Peer:
    """The bare ASGI proxy.

    Raises:
        Absent: its packages cannot be installed.
    """
    python = environment("asgi-" + "-".join(package.rpartition("==")[2] for package in PACKAGES), *PACKAGES) / "python"
    script = Path(__file__).with_name("asgi_proxy.py")
    return program("asgi-yardstick", PACKAGES[2].rpartition("==")[2], lambda launch: _argv(launch, python, script))


def _argv(launch: Launch, python: Path, script: Path) -> tuple[str | Path, ...]:
    return (python, script, str(launch.port), launch.engine_url)

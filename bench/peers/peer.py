"""What a proxy is to a measurement: something that can be started in front of an engine, or is absent for a reason."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from bench import exchange
from bench.load import Load, Tally, Target, calling
from bench.rig import Rig
from tests.services import free_port
from tests.services.process import Process

READY_WITHIN_S = 60.0


class Absent(Exception):
    """This proxy cannot be had or started here; says why."""


@dataclass(frozen=True)
class Running:
    """A proxy that answers; `process` is None for the engine without a proxy."""

    target: Target
    process: Process | None


@dataclass(frozen=True)
class Launch:
    """How a proxy is started: where it listens, and which port of 127.0.0.1 the engine has."""

    home: Path
    port: int
    engine: int

    @property
    def engine_url(self) -> str:
        """The engine's base URL."""
        return f"http://127.0.0.1:{self.engine}"


Open = Callable[[Rig, int], AbstractAsyncContextManager[Running]]
Argv = Callable[[Launch], Sequence[str | Path]]


@dataclass(frozen=True)
class Peer:
    """`open` starts it in front of the engine's port, and ends it."""

    version: str
    open: Open


Offer = Callable[[], Peer]


def program(name: str, version: str, argv: Argv, authorization: str = "") -> Peer:
    """A peer that is one command."""

    @asynccontextmanager
    async def start(rig: Rig, engine: int) -> AsyncIterator[Running]:
        launch = Launch(rig.folder / name, free_port(), engine)
        launch.home.mkdir(exist_ok=True)
        async with launched(rig, name, launch, argv(launch), {}) as process:
            target = Target(launch.port, authorization)
            await answering(target, process)
            yield Running(target, process)

    return Peer(version, start)


@asynccontextmanager
async def launched(
    rig: Rig, name: str, launch: Launch, argv: Sequence[str | Path], env: Mapping[str, str]
) -> AsyncIterator[Process]:
    """The process of a proxy, until the end of the block."""
    process = rig.proxy(name, argv, {"PATH": PATH, "HOME": str(launch.home), "LANG": "C.UTF-8", **env})
    try:
        yield process
    finally:
        process.kill()


PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


async def answering(target: Target, process: Process) -> None:
    """Wait until the proxy answers a completion.

    Raises:
        Absent: it ended, or did not answer in time.
    """
    said = "it takes no connection"
    until = monotonic() + READY_WITHIN_S
    while monotonic() < until and process.running:
        tally = Tally()
        try:
            async with calling(Load(target, exchange.request_body(exchange.UNARY), 1), tally):
                await asyncio.sleep(0.1)
        except (OSError, TimeoutError):
            continue
        finally:
            await asyncio.sleep(0.1)
        if tally.answers and not tally.failures:
            return
        said = tally.last_failure.decode(errors="replace") or "it is silent"
    log = process.log.read_text(errors="replace")[-800:]
    raise Absent(f"it does not answer a completion: {said!r}; the end of its log: {log}")

"""A service of our own: a program on a free port of 127.0.0.1 with its own data folder."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.services.process import Process


@dataclass(frozen=True)
class PrivateService:
    """Made from its folder alone, so that every process of the run holds the same one.

    `prepare` readies an empty or a used data folder; `ready` asks the service itself.
    """

    url: str
    process: Process
    data: Path
    prepare: Callable[[], None]
    ready: Callable[[], bool]

    @property
    def running(self) -> bool:
        return self.process.running

    def start(self) -> None:
        if not self.running:
            self.prepare()
            self.process.start()
        self.process.wait_until(self.ready)

    def kill(self) -> None:
        self.process.kill()

    def stop(self) -> None:
        self.process.stop()

    def cont(self) -> None:
        self.process.cont()

    def restart(self) -> None:
        self.kill()
        self.start()

    def wipe(self) -> None:
        self.kill()
        shutil.rmtree(self.data, ignore_errors=True)

"""A running service and the harm that a test may do to it."""

from dataclasses import dataclass
from typing import Literal, NoReturn, Protocol

Part = Literal["postgres", "redis", "rabbitmq"]
PARTS: tuple[Part, ...] = ("postgres", "redis", "rabbitmq")


class NotOurs(RuntimeError):
    """A service that was given by its address cannot be stopped from here."""


class Service(Protocol):
    """PostgreSQL, Redis or RabbitMQ. Every verb returns when it has happened."""

    @property
    def url(self) -> str: ...
    @property
    def running(self) -> bool: ...
    def start(self) -> None:
        """Start on the same port and data where it does not run, and return when it answers."""

    def kill(self) -> None:
        """Kill -9, children included."""

    def stop(self) -> None:
        """SIGSTOP: its port open, and silent."""

    def cont(self) -> None:
        """SIGCONT after `stop`."""

    def restart(self) -> None:
        """Kill -9 where it runs, then start."""

    def wipe(self) -> None:
        """Kill -9 and delete the data folder; `start` then begins with an empty one."""


@dataclass(frozen=True)
class GivenService:
    """A service that somebody else runs: its address, and no verbs."""

    url: str
    running: bool = True

    def start(self) -> NoReturn:
        raise NotOurs(f"{self.url} was given by the environment: this run may not start, stop or wipe it.")

    kill = stop = cont = restart = wipe = start

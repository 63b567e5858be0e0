"""The Function library with a clock that tests drive: the same code, but its time is what the key `clock` says."""

from datetime import UTC, datetime

from redis import Redis

from ias.contract import admission
from ias.contract.admission import Command, Reply

CLOCK = "clock"
REAL = "redis.call('TIME')"
DRIVEN = f"redis.call('HMGET', '{CLOCK}', 's', 'us')"
START_US = int(datetime(2030, 1, 30, 12, tzinfo=UTC).timestamp()) * 1_000_000


def driven(library: str = admission.LIBRARY) -> str:
    """The library, by the driven clock."""
    assert library.count(REAL) == 1
    return library.replace(REAL, DRIVEN)


class Table:
    """A Redis that runs a driven library, and its clock. Empties it."""

    def __init__(self, url: str, library: str | None = None, start_us: int = START_US) -> None:
        self.redis = Redis.from_url(url, socket_timeout=20)
        self.redis.execute_command("FUNCTION", "LOAD", "REPLACE", library or driven())
        self.start_us = self.us = start_us
        self.begin()

    def begin(self) -> None:
        """Begin anew: nothing is there, and it is as late as it was."""
        self.us = self.start_us
        self.empty()

    def empty(self) -> None:
        """Lose everything but the library; time has gone on a little."""
        self.redis.flushall()
        self.advance(1)

    def advance(self, us: int) -> None:
        """Let time pass."""
        self.us += us
        self.redis.hset(CLOCK, mapping={"s": self.us // 1_000_000, "us": self.us % 1_000_000})

    @property
    def second(self) -> int:
        """The clock in Unix seconds."""
        return self.us // 1_000_000

    @property
    def period(self) -> str:
        """The clock's month."""
        return f"{datetime.fromtimestamp(self.second, UTC):%Y%m}"

    def call(self, command: Command) -> Reply:
        """Run one call of the contract."""
        return self.redis.execute_command(*command)

    def close(self) -> None:
        """Let go of the connection."""
        self.redis.close()

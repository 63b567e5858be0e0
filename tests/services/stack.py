"""The services of a test run, and fresh ones for a test that must not share."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import pytest

from tests.services import databases, rabbitmq
from tests.services.ending import end
from tests.services.service import GivenService, Part, Service
from tests.services.settings import SETTINGS
from tests.services.worlds import World


@dataclass(frozen=True)
class Services:
    """PostgreSQL, Redis and, where this world has it, RabbitMQ.

    They are shared by all tests of the run: harm only what a `fresh_…` gave you.
    """

    folder: Path
    open_world: Callable[[], World]
    given: Mapping[Part, GivenService] = field(default_factory=dict)

    @cached_property
    def world(self) -> World:
        """Where services of our own come from; choosing it may build the Debian root."""
        return self.open_world()

    @cached_property
    def postgres(self) -> Service:
        return self._shared("postgres")

    @cached_property
    def redis(self) -> Service:
        return self._shared("redis")

    @cached_property
    def rabbitmq(self) -> Service:
        """The shared broker; the test is skipped where this world has none."""
        self.need("rabbitmq")
        return self._shared("rabbitmq")

    @property
    def database_url(self) -> str:
        """The server's own database `postgres`, as superuser; tests want `fresh_database`."""
        return self.postgres.url

    @property
    def redis_url(self) -> str:
        return self.redis.url

    @property
    def amqp_url(self) -> str | None:
        """The broker's default virtual host, or None where this world has no broker."""
        return None if self._lacks("rabbitmq") else self.rabbitmq.url

    @cached_property
    def timescale(self) -> bool:
        """Whether `CREATE EXTENSION timescaledb` works here."""
        if "postgres" in self.given:
            return databases.has_timescale(self.database_url)
        return "timescale" not in self.world.missing

    def need(self, *what: str) -> None:
        """Skip the running test, with the reason, where `rabbitmq` or `timescale` is not to be had."""
        for each in what:
            reason = self._lacks(each)
            if reason:
                pytest.skip(reason)

    def fresh_database(self, template: str | None = None) -> str:
        """Create a database, empty or a copy of a template of `template`, and return its URL."""
        return databases.create_database(self.database_url, template)

    @contextmanager
    def database(self, template: str | None = None) -> Iterator[str]:
        """The same, dropped afterwards."""
        url = self.fresh_database(template)
        try:
            yield url
        finally:
            databases.drop_database(url)

    def template(self, name: str, fill: Callable[[str], None]) -> str:
        """Have `fill(url)` migrate a database once per run; returns the name to copy it by."""
        return databases.make_template(self.database_url, name, fill, self.folder)

    @contextmanager
    def virtual_host(self) -> Iterator[str]:
        """The AMQP URL of an empty virtual host of the shared broker, deleted afterwards."""
        with rabbitmq.virtual_host(self.rabbitmq.url, self.management_url) as url:
            yield url

    @property
    def management_url(self) -> str:
        """The HTTP address of the shared broker's management plugin."""
        if "rabbitmq" not in self.given:
            return self.world.management(self._home("rabbitmq"))
        if SETTINGS.management_url is None:
            pytest.skip("IAS_TEST_AMQP_URL is given without IAS_TEST_RABBITMQ_MANAGEMENT_URL")
        return SETTINGS.management_url

    @contextmanager
    def fresh(self, part: Part, settings: Mapping[str, str] | None = None) -> Iterator[Service]:
        """Start a service of the caller's own, to be harmed at will; ended and deleted afterwards.

        `settings` go over the rig's: of postgresql.conf (`{"fsync": "on"}`), redis.conf or rabbitmq.conf.
        """
        if part in self.world.missing:
            pytest.skip(self.world.missing[part])
        home = self.folder / self.world.name / f"{part}-{uuid4().hex[:8]}"
        service = self.world.make(part, home, settings or {})
        try:
            service.start()
            yield service
        finally:
            end(home)

    def _lacks(self, what: str) -> str | None:
        if what == "timescale" and "postgres" in self.given:
            return None if self.timescale else "the given PostgreSQL has no TimescaleDB"
        return None if what in self.given else self.world.missing.get(what)

    def _home(self, part: str) -> Path:
        return self.folder / self.world.name / part

    def _shared(self, part: Part) -> Service:
        return self.given.get(part) or self.world.make(part, self._home(part), {})

"""The worlds that services can come from, in the order in which a test run looks for them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.services import embedded, engine, rabbitmq, roots
from tests.services.containers import IMAGES, management_url, postgres_container, rabbitmq_container, redis_container
from tests.services.locks import locked
from tests.services.place import Place
from tests.services.ports import kept_port
from tests.services.postgres import postgres
from tests.services.redis import redis
from tests.services.service import Part, Service
from tests.services.settings import SETTINGS

Say = Callable[[str], None]
BEST = ("containers", "trixie", "embedded")
"""In the order in which a run looks; the others are had by their names alone."""
NAMES = (*BEST, *(name for name in roots.RECIPES if name not in BEST))


class NoSuchWorld(RuntimeError):
    """IAS_TEST_WORLD names a world that is unknown, or that this machine cannot have."""


class World(Protocol):
    """Makes services. `missing` says for each part, and for timescale, why it is not there."""

    @property
    def name(self) -> str: ...
    @property
    def missing(self) -> Mapping[str, str]: ...
    def make(self, part: Part, home: Path, settings: Mapping[str, str]) -> Service:
        """Describe the service of a folder; the same folder gives the same service, in any process."""

    def management(self, home: Path) -> str:
        """The HTTP address of the RabbitMQ in that folder."""


@dataclass(frozen=True)
class PrivateWorld:
    """Programs of our own, out of wheels or out of the Debian root."""

    place: Place
    missing: Mapping[str, str]

    @property
    def name(self) -> str:
        return self.place.name

    def make(self, part: Part, home: Path, settings: Mapping[str, str]) -> Service:
        make = {"postgres": postgres, "redis": redis, "rabbitmq": rabbitmq.rabbitmq}[part]
        return make(self.place, home, kept_port(home), settings)

    def management(self, home: Path) -> str:
        return rabbitmq.management_url(home)


@dataclass(frozen=True)
class ContainerWorld:
    """Containers of an engine."""

    name: str = "containers"
    missing: Mapping[str, str] = field(default_factory=dict)

    def make(self, part: Part, home: Path, settings: Mapping[str, str]) -> Service:
        makers = {"postgres": postgres_container, "redis": redis_container, "rabbitmq": rabbitmq_container}
        return makers[part](home, kept_port(home), settings)

    def management(self, home: Path) -> str:
        return management_url(home)


def choose(folder: Path, say: Say, name: str | None = None) -> World:
    """Take the named world, else IAS_TEST_WORLD's, else the best that this machine can have.

    A run chooses once, in its folder: a second look might find another.

    Raises:
        NoSuchWorld: the one asked for by name cannot be had.
    """
    wanted = name or SETTINGS.world
    memory = folder / f"{wanted or 'best'}.world"
    with locked(folder / "world.lock"):
        if memory.exists():
            found, *refused = memory.read_text().splitlines()
            return _open(found, folder, say, refused)
        world, refused = _best(folder, say) if wanted is None else (_named(wanted, folder, say), [])
        memory.write_text("\n".join((world.name, *refused)))
    return world


def _named(wanted: str, folder: Path, say: Say) -> World:
    if wanted not in NAMES:
        raise NoSuchWorld(f"There is no world {wanted}: choose {', '.join(NAMES)}.")
    reason = why_not(wanted)
    if reason:
        raise NoSuchWorld(f"This machine cannot have the world {wanted}: {reason}.")
    return _open(wanted, folder, say, [])


def _best(folder: Path, say: Say) -> tuple[World, list[str]]:
    refused: list[str] = []
    for name in BEST[:-1]:
        reason = why_not(name)
        if reason is None:
            try:
                return _open(name, folder, say, refused), refused
            except (engine.NoImage, roots.RootNotBuilt) as error:
                say(str(error))
                reason = str(error).splitlines()[0]
        refused.append(reason)
    return _open("embedded", folder, say, refused), refused


def why_not(name: str) -> str | None:
    """Say why this machine cannot have a world, None where it can, or where only trying would tell."""
    if name in roots.RECIPES:
        return roots.why_not(name)
    return engine.why_not() if name == "containers" else None


def _open(name: str, folder: Path, say: Say, refused: Sequence[str]) -> World:
    if name == "containers":
        engine.fetch(IMAGES.values(), say)
        return ContainerWorld()
    if name in roots.RECIPES:
        place = roots.prepare(name, say)
        missing = {} if place.timescale else {"timescale": f"no TimescaleDB: the world {name} has the plain PostgreSQL"}
        return PrivateWorld(place, missing)
    why = "; ".join(("the embedded wheels hold none", *refused))
    missing = {"rabbitmq": f"no RabbitMQ: {why}", "timescale": f"no TimescaleDB: {why}"}
    return PrivateWorld(embedded.prepare(folder), missing)

"""The container engine, where one answers: the same three services by testcontainers."""

import functools
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import docker
from docker.errors import DockerException, ImageNotFound, NotFound
from docker.models.containers import Container
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.docker_client import DockerClient

from tests.services.process import wait_until

ENGINE_WITHIN = 1  # second
RECORD = "container.id"


class NoImage(RuntimeError):
    """An image is neither there nor to be had."""


@functools.cache
def why_not() -> str | None:
    """Say why no container can be had, or None where an engine answers; takes two seconds at most."""
    try:
        engine = docker.DockerClient.from_env(timeout=ENGINE_WITHIN)
        engine.ping()
    except (DockerException, OSError):
        return "no container engine answers"
    return None


def fetch(images: Iterable[str], say: Callable[[str], None]) -> None:
    """Pull the images that the engine has not got yet.

    Raises:
        NoImage: the engine cannot get one.
    """
    engine = DockerClient().client
    for image in images:
        try:
            engine.images.get(image)
        except ImageNotFound:
            say(f"pulling the image {image}")
            _pull(engine, image)


def _pull(engine: docker.DockerClient, image: str) -> None:
    try:
        engine.images.pull(image)
    except DockerException as error:
        raise NoImage(f"the container engine cannot pull {image}: {error}") from error


def engine_host() -> str:
    """Where the engine publishes ports."""
    host = DockerClient().host()
    return "127.0.0.1" if host == "localhost" else host


@dataclass(frozen=True)
class ContainerService:
    """One container on a fixed port, so that it comes back where it was; its id lies in its folder."""

    url: str
    home: Path
    describe: Callable[[], DockerContainer]
    ready: Callable[[], bool]

    @property
    def running(self) -> bool:
        return self._status() in {"running", "paused"}

    def start(self) -> None:
        found = self._found()
        if found is None:
            # Its reaper would end it with the process that began it, while others still use it.
            testcontainers_config.ryuk_disabled = True
            self.home.mkdir(parents=True, exist_ok=True)
            begun = self.describe().start().get_wrapped_container()
            (self.home / RECORD).write_text(begun.id or "")
        elif not self.running:
            found.start()
        wait_until(self.ready, lambda: self.running, self.home.name, self._tail)

    def kill(self) -> None:
        self.cont()
        found = self._found()
        if found is not None and found.status == "running":
            found.kill()
            found.wait()

    def stop(self) -> None:
        found = self._found()
        if found is not None and found.status == "running":
            found.pause()

    def cont(self) -> None:
        found = self._found()
        if found is not None and found.status == "paused":
            found.unpause()

    def restart(self) -> None:
        self.kill()
        self.start()

    def wipe(self) -> None:
        remove([self.home / RECORD])

    def _found(self) -> Container | None:
        with suppress(FileNotFoundError, NotFound):
            return DockerClient().client.containers.get((self.home / RECORD).read_text())
        return None

    def _status(self) -> str | None:
        found = self._found()
        return None if found is None else found.status

    def _tail(self) -> str:
        found = self._found()
        return "" if found is None else found.logs(tail=15).decode(errors="replace")


def remove(records: Iterable[Path]) -> None:
    """Remove the containers whose ids lie in these files, with their data."""
    for record in records:
        with suppress(FileNotFoundError, NotFound):
            DockerClient().client.containers.get(record.read_text()).remove(force=True, v=True)
        record.unlink(missing_ok=True)

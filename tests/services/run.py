"""One run of tests: its folder, its services started once, and their end, however the run ends."""

import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from time import monotonic, time

from tests.services.ending import end
from tests.services.locks import hold, locked
from tests.services.process import Command, Process, ServiceFailed
from tests.services.service import PARTS, GivenService, Part
from tests.services.settings import SETTINGS
from tests.services.stack import Services
from tests.services.worlds import choose

Say = Callable[[str], None]
SETTLED = 60.0  # seconds; a younger folder may not have its owner yet
ROOT = Path(__file__).resolve().parents[2]


def new_folder() -> Path:
    """Make the folder of a run. PostgreSQL's user must be able to pass through it."""
    prefix = f"ias-services-{os.getuid()}-run-"
    _sweep(Path(tempfile.gettempdir()).glob(f"{prefix}*"))
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o711)
    return folder


def join(folder: Path, say: Say, name: str | None = None) -> Services:
    """Start the services of a run, or join those that another worker has started.

    Raises:
        ServiceFailed: one of them did not start, here or in the worker that tried first.
    """
    with locked(folder / "lock"):
        services = Services(folder, partial(choose, folder, say, name), {} if name else _given())
        started, failed = (folder / f"{name or 'best'}.{state}" for state in ("started", "failed"))
        if failed.exists():
            raise ServiceFailed(failed.read_text())
        if not started.exists():
            try:
                _start(services, say)
            except Exception as error:
                failed.write_text(f"The services of this run did not start: {error}")
                raise
            started.touch()
    return services


def attend(folder: Path) -> None:
    """Have a process of its own end the run's services when the holder of its `owner` lock is gone."""
    watch = (sys.executable, "-m", "tests.services", "watch", str(folder))
    watcher = Process("watcher", folder, Command(watch, start_in=ROOT))
    with locked(folder / "lock"):
        if not watcher.running:
            watcher.start()


def watch(folder: Path) -> None:
    """Wait until the run's owner is gone, however it went, and end what it left."""
    with hold(folder / "owner"):
        end(folder)


def _sweep(folders: Iterable[Path]) -> None:
    """End what runs left behind whose owner and watcher were both killed."""
    for folder in folders:
        with suppress(FileNotFoundError, BlockingIOError):
            if time() - (folder / "owner").stat().st_mtime > SETTLED:
                with hold(folder / "owner", wait=False):
                    end(folder)


def _given() -> dict[Part, GivenService]:
    urls: dict[Part, str | None] = {
        "postgres": SETTINGS.database_url,
        "redis": SETTINGS.redis_url,
        "rabbitmq": SETTINGS.amqp_url,
    }
    return {part: GivenService(url) for part, url in urls.items() if url}


def _start(services: Services, say: Say) -> None:
    """Start all parts that are not given, at once."""
    wanted = [part for part in PARTS if part not in services.given]
    if not wanted:
        return
    began = monotonic()
    wanted = [part for part in wanted if part not in services.world.missing]
    with ThreadPoolExecutor(len(wanted)) as threads:
        begun = [threads.submit(getattr(services, part).start) for part in wanted]
    for each in begun:
        each.result()
    say(f"{', '.join(wanted)} of the world {services.world.name} up in {monotonic() - began:.1f} s")
    for reason in services.world.missing.values():
        say(f"skipped: {reason}")

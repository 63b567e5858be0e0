"""Debian trixie in a private root: real PostgreSQL with TimescaleDB, Redis and RabbitMQ without containers.

Built once for each recipe and kept in the user's cache (about 700 MB); a run only reads it.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.services.locks import locked
from tests.services.place import PATH, Place
from tests.services.settings import SETTINGS

SUITE = "trixie"
PACKAGES = ("postgresql-17", "postgresql-17-timescaledb", "rabbitmq-server", "redis-server")
ESSENTIALS = (
    "usr/lib/postgresql/17/bin/postgres",
    "usr/share/postgresql/17/extension/timescaledb.control",
    "usr/lib/rabbitmq/bin/rabbitmq-server",
    "usr/bin/redis-server",
    "usr/bin/epmd",
)
ENV = {"PATH": PATH, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
PROBE = 'd=$(mktemp -d) && trap "umount $d; rmdir $d" EXIT && mount -t proc proc "$d"'

Say = Callable[[str], None]


class RootNotBuilt(RuntimeError):
    """The Debian root could not be built."""


def root_folder() -> Path:
    """Where the root of this recipe lies, built or not."""
    recipe = " ".join((SUITE, "minbase", *PACKAGES, *ESSENTIALS))
    return SETTINGS.cache / f"{SUITE}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


@functools.cache
def why_not() -> str | None:
    """Say why this machine cannot have the root, or None where it can."""
    if os.getuid() != 0:
        return "the Debian root needs the user root"
    if shutil.which("unshare", path=PATH) is None or shutil.which("chroot", path=PATH) is None:
        return "the Debian root needs the programs unshare and chroot (Linux)"
    if subprocess.run(_private("sh", "-ec", PROBE), env=ENV, capture_output=True, check=False).returncode:
        return "the Debian root needs the right to mount /proc, which this container withholds"
    if not _built(root_folder()) and not _debootstrap() and shutil.which("apt-get", path=PATH) is None:
        return "the Debian root needs debootstrap, and there is no apt-get to install it with"
    return None


def prepare(say: Say) -> Place:
    """Build the root where it is not there yet, and return it; one builds while others wait.

    Raises:
        RootNotBuilt: debootstrap could not be installed or failed; with the end of its output.
    """
    root = root_folder()
    if not _built(root):
        with locked(root.with_suffix(".lock")) as lock:
            if not _built(root):
                _build(root, lock, say)
    return Place(
        name=SUITE,
        postgres_bin=Path("/usr/lib/postgresql/17/bin"),
        redis_server=Path("/usr/bin/redis-server"),
        rabbitmq_bin=Path("/usr/lib/rabbitmq/bin"),
        epmd=Path("/usr/bin/epmd"),
        timescale=True,
        root=root,
    )


def _built(root: Path) -> bool:
    return root.is_dir()


def _build(root: Path, lock: int, say: Say) -> None:
    """Build beside the final folder and rename: what has that name is whole.

    A debootstrap that outlives us keeps the lock, so nobody deletes what it still writes.
    """
    began = time.monotonic()
    for left_over in root.parent.glob(f"{root.name}.building-*"):
        shutil.rmtree(left_over)
    if not _debootstrap():
        _install_debootstrap(say)
    building = root.with_name(f"{root.name}.building-{os.getpid()}")
    say(f"building Debian {SUITE} with {', '.join(PACKAGES)}: once, about a minute, into {root}")
    # Its mounts are private too: they end with it, even if it is killed.
    words = ("--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(building))
    _run(_private("debootstrap", *words), say, lock)
    missing = [name for name in ESSENTIALS if not (building / name).exists()]
    if missing:
        raise RootNotBuilt(f"Debian's packages came without {', '.join(missing)}: see {building}.")
    for chaff in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
        shutil.rmtree(building / chaff, ignore_errors=True)
    building.rename(root)
    say(f"the Debian root is ready after {time.monotonic() - began:.0f} s")


def _install_debootstrap(say: Say) -> None:
    say("installing debootstrap")
    install = ("apt-get", "-o", "DPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends")
    wanted = ("debootstrap", "debian-archive-keyring")
    if subprocess.run((*install, *wanted), env=ENV, capture_output=True, check=False).returncode:
        _run(("apt-get", "-o", "DPkg::Lock::Timeout=120", "update"), say)
        _run((*install, *wanted), say)


def _run(argv: tuple[str, ...], say: Say, *inherited: int) -> None:
    """Run a long command; repeat every few seconds what it says."""
    lines: list[str] = []
    last = time.monotonic()
    with subprocess.Popen(
        argv,
        env=ENV,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        pass_fds=inherited,
    ) as running:
        for line in running.stdout or ():
            lines.append(line.rstrip())
            if time.monotonic() - last > 5:
                last = time.monotonic()
                say(lines[-1])
    if running.returncode:
        shown = "\n".join(lines[-15:])
        raise RootNotBuilt(f"{argv[0]} failed ({' '.join(argv)}):\n{shown}")


def _debootstrap() -> bool:
    return shutil.which("debootstrap", path=PATH) is not None


def _private(*argv: str) -> tuple[str, ...]:
    return ("unshare", "--mount", "--propagation", "private", *argv)

"""Distributions in private roots: real PostgreSQL, Redis or Valkey, RabbitMQ of several versions, without containers.

Each is built once for its recipe and kept in the user's cache (700 to 1,100 MB); a run only reads it.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.services.locks import locked
from tests.services.place import PATH, Place
from tests.services.settings import SETTINGS

ENV = {"PATH": PATH, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
PROBE = 'd=$(mktemp -d) && trap "umount $d; rmdir $d" EXIT && mount -t proc proc "$d"'
UBUNTU_KEY = Path(__file__).with_name("ubuntu-archive-2018.gpg")
"""Ubuntu Archive Automatic Signing Key (2018), F6EC B376 2474 EDA9 D21B 7022 8719 20D1 991B C93C."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """What a root is made of. `options` are debootstrap's; `script` is its own for suites that it does not know."""

    name: str
    suite: str
    postgres: int
    packages: tuple[str, ...]
    redis: str = "redis-server"
    redis_user: str = "redis"
    timescale: bool = False
    options: tuple[str, ...] = ()
    keyring: Path | None = None
    script: str | None = None

    @property
    def essentials(self) -> tuple[str, ...]:
        """What must be there when it is built."""
        control = f"usr/share/postgresql/{self.postgres}/extension/timescaledb.control"
        return (
            f"usr/lib/postgresql/{self.postgres}/bin/postgres",
            *((control,) if self.timescale else ()),
            "usr/lib/rabbitmq/bin/rabbitmq-server",
            f"usr/bin/{self.redis}",
            "usr/bin/epmd",
        )

    @property
    def folder(self) -> Path:
        """Where the root lies, built or not."""
        recipe = " ".join((self.suite, "minbase", *self.packages, *self.essentials, *self.options))
        return SETTINGS.cache / f"{self.suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "trixie",
            "trixie",
            17,
            (
                *("libfaketime", "postgresql-17", "postgresql-17-timescaledb", "rabbitmq-server", "redis-server"),
                *("git", "openssh-server"),
                *("chromium-headless-shell", "fonts-inter", "fonts-jetbrains-mono"),  # of tests/browser
            ),
            timescale=True,
        ),
        Recipe(
            "valkey",
            "trixie",
            17,
            ("postgresql-17", "rabbitmq-server", "valkey-server"),
            redis="valkey-server",
            redis_user="valkey",
        ),
        Recipe("bookworm", "bookworm", 15, ("postgresql-15", "rabbitmq-server", "redis-server")),
        Recipe(
            "noble",
            "noble",
            16,
            ("postgresql-16", "rabbitmq-server", "redis-server"),
            options=("--components=main,universe",),
            keyring=UBUNTU_KEY,
            script="gutsy",  # all of Ubuntu's are this one
        ),
    )
}
"""TimescaleDB and RabbitMQ 4.0; plain PostgreSQL 17 with Valkey 8.1; 15, Redis 7.0, RabbitMQ 3.10; 16, 7.0, 3.12."""


class RootNotBuilt(RuntimeError):
    """The root could not be built."""


@functools.cache
def why_not(name: str) -> str | None:
    """Say why this machine cannot have the root, or None where it can."""
    if os.getuid() != 0:
        return "a private root needs the user root"
    if shutil.which("unshare", path=PATH) is None or shutil.which("chroot", path=PATH) is None:
        return "a private root needs the programs unshare and chroot (Linux)"
    if subprocess.run(_private("sh", "-ec", PROBE), env=ENV, capture_output=True, check=False).returncode:
        return "a private root needs the right to mount /proc, which this container withholds"
    if not _built(RECIPES[name].folder) and not _debootstrap() and shutil.which("apt-get", path=PATH) is None:
        return "a private root needs debootstrap, and there is no apt-get to install it with"
    return None


def prepare(name: str, say: Say) -> Place:
    """Build the root where it is not there yet, and return it; one builds while others wait.

    Raises:
        RootNotBuilt: debootstrap could not be installed or failed; with the end of its output.
    """
    recipe = RECIPES[name]
    root = recipe.folder
    if not _built(root):
        with locked(root.with_suffix(".lock")) as lock:
            if not _built(root):
                _build(recipe, lock, say)
    return Place(
        name=name,
        postgres_bin=Path(f"/usr/lib/postgresql/{recipe.postgres}/bin"),
        redis_server=Path(f"/usr/bin/{recipe.redis}"),
        rabbitmq_bin=Path("/usr/lib/rabbitmq/bin"),
        epmd=Path("/usr/bin/epmd"),
        timescale=recipe.timescale,
        root=root,
        redis_user=recipe.redis_user,
    )


def _built(root: Path) -> bool:
    return root.is_dir()


def _build(recipe: Recipe, lock: int, say: Say) -> None:
    """Build beside the final folder and rename: what has that name is whole.

    A debootstrap that outlives us keeps the lock, so nobody deletes what it still writes.
    """
    began, root = time.monotonic(), recipe.folder
    for left_over in root.parent.glob(f"{root.name}.building-*"):
        shutil.rmtree(left_over)
    if not _debootstrap():
        _install_debootstrap(say)
    building = root.with_name(f"{root.name}.building-{os.getpid()}")
    say(f"building {recipe.suite} with {', '.join(recipe.packages)}: once, about a minute, into {root}")
    # Its mounts are private too: they end with it, even if it is killed.
    options = ("--variant=minbase", f"--include={','.join(recipe.packages)}", *recipe.options)
    if recipe.keyring is not None:
        options = (*options, f"--keyring={recipe.keyring}")
    script = ("", f"/usr/share/debootstrap/scripts/{recipe.script}") if recipe.script else ()
    _run(_private("debootstrap", *options, recipe.suite, str(building), *script), say, lock)
    missing = [name for name in recipe.essentials if not (building / name).exists()]
    if missing:
        raise RootNotBuilt(f"The packages came without {', '.join(missing)}: see {building}.")
    for chaff in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
        shutil.rmtree(building / chaff, ignore_errors=True)
    building.rename(root)
    say(f"the root is ready after {time.monotonic() - began:.0f} s")


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

"""A place that programs come from: the system itself (wheels) or a private root (Debian)."""

import os
from dataclasses import dataclass
from pathlib import Path

from tests.services.process import Command

# A mount namespace of its own: /proc (RabbitMQ's memory monitor needs it), shared memory, and the
# service's folder at /mnt. All of it vanishes with the process; nothing stays mounted.
ENTER = """
root=$1 home=$2 who=$3; shift 3
mount -t proc proc "$root/proc" && mount -t tmpfs tmpfs "$root/dev/shm" &&
mount --bind "$home" "$root/mnt" && exec chroot --userspec="$who" "$root" "$@"
"""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Place:
    """Where the programs are, and as whom they run. Paths are as the programs see them."""

    name: str
    postgres_bin: Path
    redis_server: Path
    rabbitmq_bin: Path | None
    epmd: Path | None
    timescale: bool
    root: Path | None
    redis_user: str = "root"

    @property
    def faketime(self) -> Path | None:
        """The library that gives a program another clock, where it is installed."""
        root = self.root or Path("/")
        found = next(root.glob("usr/lib/*/faketime/libfaketime.so.1"), None)
        return None if found is None else Path("/") / found.relative_to(root)

    def inside(self, home: Path) -> Path:
        """What the program calls the folder that we call `home`."""
        return home if self.root is None else Path("/mnt")

    def command(self, home: Path, user: str, *argv: str | Path, **env: str) -> Command:
        """Run `argv` as `user`, a name of this place; `home` is the only folder it may write to."""
        words = tuple(map(str, argv))
        env = {"PATH": PATH, "LANG": "C.UTF-8", "HOME": str(self.inside(home))} | env
        if self.root is None:
            return Command(words, env, self._ids(user) if os.getuid() == 0 else None)
        who = ":".join(map(str, self._ids(user)))
        enter = ("unshare", "--mount", "--propagation", "private", "sh", "-ec", ENTER, "sh")
        return Command((*enter, str(self.root), str(home), who, *words), env)

    def hand_over(self, folder: Path, user: str) -> None:
        """Make the folder `user`'s own, where we are root."""
        folder.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            os.chown(folder, *self._ids(user))

    def _ids(self, user: str) -> tuple[int, int]:
        passwd = (self.root or Path("/")) / "etc/passwd"
        for line in passwd.read_text().splitlines():
            name, _, uid, gid, *_ = line.split(":")
            if name == user:
                return int(uid), int(gid)
        raise KeyError(f"{passwd} knows no user {user}.")

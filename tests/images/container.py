"""Runs what an image holds as an engine would: as process 1, as its user, without rights, on files it cannot write."""

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.images.dockerfile import Stage

ENTER = """
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs tmpfs "$root/dev/shm"
while [ "$1" != -- ]; do mount --bind "$1" "$root$2"; shift 2; done
shift
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""
ALONE = ("unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child")
NO_RIGHTS = ("--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all")


@dataclass(frozen=True)
class Image:
    """A built image: its files and what its Dockerfile says of running them."""

    root: Path
    stage: Stage
    volumes: Mapping[Path, str] = field(default_factory=dict)
    """Folders of ours, and where the image has them; they are made its user's own."""

    @property
    def user(self) -> tuple[int, int]:
        uid, gid = self.stage.last("USER").rest.split(":")
        return int(uid), int(gid)

    def argv(self, command: Sequence[str], env: Mapping[str, str]) -> list[str]:
        """The command as process 1 of a container of this image."""
        uid, gid = self.user
        volumes = [str(word) for pair in self.volumes.items() for word in pair]
        told = [f"{name}={value}" for name, value in {**self.stage.env, **env}.items()]
        where = self.stage.last("WORKDIR").rest
        who = ("/usr/bin/setpriv", f"--reuid={uid}", f"--regid={gid}", *NO_RIGHTS, "--")
        within = ("/usr/bin/env", "--ignore-environment", f"--chdir={where}", *told, *command)
        return [*ALONE, "sh", "-ec", ENTER, "sh", str(self.root), *volumes, "--", *who, *within]

    def run(
        self, command: Sequence[str], env: Mapping[str, str] | None = None, stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        self._hand_over()
        argv = self.argv(command, env or {})
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=120)

    @contextmanager
    def running(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> Iterator["Container"]:
        """Run a command until the block ends, or before if it is told to stop."""
        self._hand_over()
        with log.open("ab") as output:
            child = subprocess.Popen(
                self.argv(command, env), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
            container = Container(child, log)
            try:
                yield container
            finally:
                container.kill()

    def _hand_over(self) -> None:
        for folder in self.volumes:
            folder.mkdir(parents=True, exist_ok=True)
            os.chown(folder, *self.user)


@dataclass
class Container:
    """Something that runs; process 1 of its own is the child of the child that we know."""

    child: subprocess.Popen[bytes]
    log: Path

    @property
    def alive(self) -> bool:
        return self.child.poll() is None

    @property
    def first(self) -> psutil.Process:
        """Its process 1."""
        (only,) = psutil.Process(self.child.pid).children()
        return only

    def stop(self, within_s: float) -> int:
        """SIGTERM to its process 1, as an engine does; its exit code.

        Raises:
            TimeoutExpired: it did not end; an engine would kill it now.
        """
        self.first.send_signal(signal.SIGTERM)
        return self.child.wait(within_s)

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def kill(self) -> None:
        if self.alive:
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()

"""A Git host on ssh: Debian's sshd and git in the private root that the services come from."""

import os
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.services import Services, free_port
from tests.services.place import Place
from tests.services.worlds import PrivateWorld

SSHD = "usr/sbin/sshd"
READY_WITHIN_S = 60.0
BEGIN = 'mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f "$1"'
CONFIG = """ListenAddress 127.0.0.1
Port {port}
HostKey {home}/host_key
AuthorizedKeysFile {home}/authorized_keys
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PidFile none
"""


@dataclass(frozen=True)
class Key:
    """A key pair, both halves as OpenSSH writes them."""

    private: str
    public: str


def new_key(passphrase: str = "") -> Key:
    made = Ed25519PrivateKey.generate()
    kept = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    private = made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH if not passphrase else serialization.PrivateFormat.PKCS8,
        kept,
    )
    public = made.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return Key(private.decode(), public.decode())


@dataclass(frozen=True)
class Host:
    """Where it is, its key, whom it lets in; `folder` is what it serves, and what it calls so."""

    port: int
    key: Key
    client: Key
    folder: Path
    called: Path

    def url(self, repository: Path, name: str = "127.0.0.1") -> str:
        return f"ssh://root@{name}:{self.port}{self.called / repository.relative_to(self.folder)}"

    def known(self, name: str = "127.0.0.1", key: Key | None = None) -> str:
        return f"[{name}]:{self.port} {(key or self.key).public}\n"


def place_of(services: Services) -> Place:
    """Where sshd is, or the test is skipped."""
    world = services.world
    if not isinstance(world, PrivateWorld) or world.place.root is None:
        pytest.skip(f"no sshd: the world {world.name} has none; the private root trixie has one")
    if not (world.place.root / SSHD).exists():
        pytest.skip(f"no sshd: the private root {world.name} came without one")
    return world.place


def client(services: Services, folder: Path) -> Path:
    """A folder with the root's own ssh, for machines that have none; it is run beside the root, not in it."""
    root = place_of(services).root
    assert root is not None
    loader, libraries = next(root.glob("usr/lib*/ld-linux-*.so.*")), next(root.glob("usr/lib/*-linux-gnu"))
    words = (loader, "--library-path", libraries, root / "usr/bin/ssh")
    program = folder / "ssh"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    program.chmod(0o755)
    return folder


@contextmanager
def hosting(services: Services, folder: Path) -> Iterator[Host]:
    """An sshd that serves the repositories of a folder, to who has one key."""
    place, port = place_of(services), free_port()
    home = place.inside(folder)
    host = Host(port, new_key(), new_key(), folder, home)
    (folder / "sshd_config").write_text(CONFIG.format(port=port, home=home))
    (folder / "authorized_keys").write_text(f"{host.client.public}\n")
    (folder / "host_key").touch(mode=0o600)
    (folder / "host_key").write_text(host.key.private)
    command = place.command(folder, "root", "sh", "-c", BEGIN, "sh", home / "sshd_config")
    with (folder / "sshd.log").open("wb") as log:
        running = command.begin(log)
    try:
        _wait(running, port, folder / "sshd.log")
        yield host
    finally:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def _wait(running: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    until = time.monotonic() + READY_WITHIN_S
    while True:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            if connection.recv(4) == b"SSH-":
                return
        assert running.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)

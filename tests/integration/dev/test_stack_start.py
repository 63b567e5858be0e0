"""Starting and ending PostgreSQL, Valkey and what comes after them."""

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import redis

from ias.dev import migrations, ports, postgres, processes, services, stack, state, valkey
from ias.dev.fault import Fault
from ias.dev.processes import Launch
from ias.dev.services import Service
from ias.dev.settings import inherited
from ias.dev.stack import Started
from ias.dev.state import Folder, State


@pytest.fixture
def folder() -> Iterator[Folder]:
    """Not in pytest's own folder: any other run of pytest closes that to PostgreSQL's system user."""
    home = Path(tempfile.mkdtemp(prefix="ias-stack-"))
    folder = Folder(home / ".ias")
    state.prepare(folder)
    yield folder
    for name in services.NAMES:
        processes.stop(folder, name, signal.SIGINT, 10)
    shutil.rmtree(home)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> State:
    monkeypatch.setattr(ports, "USUAL", dict.fromkeys(ports.USUAL, 1))  # port 1 is never free for us: all are random
    monkeypatch.setattr(ports, "is_free", lambda _port: False)
    return State(ports=ports.choose({}, {}, frozenset()).ports)


@pytest.fixture
def only_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "platform", lambda _folder, _state: ())
    monkeypatch.setattr(migrations, "apply", lambda *_: None)


@pytest.mark.usefixtures("only_stores")
def test_what_was_stored_is_there_after_a_restart(folder: Folder, known: State) -> None:
    stack.up(folder, known, inherited(), Started())
    with redis.Redis.from_url(valkey.url(known)) as client:
        client.set("kept", "yes")
    asyncio.run(run_sql(known, "CREATE TABLE kept (word text)"))
    stack.end(folder, services.stores(folder, known, inherited()))
    assert not any(processes.running(folder, name) for name in services.NAMES)

    stack.up(folder, known, inherited(), Started())
    with redis.Redis.from_url(valkey.url(known)) as client:
        assert client.get("kept") == b"yes"
    assert asyncio.run(run_sql(known, "SELECT count(*) FROM kept")) == 0


@pytest.mark.usefixtures("only_stores")
def test_what_runs_already_is_not_started_again(folder: Folder, known: State) -> None:
    stack.up(folder, known, inherited(), Started())
    before = processes.running(folder, "postgres")
    again = Started()
    stack.up(folder, known, inherited(), again)
    assert again.services == []
    assert processes.running(folder, "postgres") == before


@pytest.mark.usefixtures("only_stores")
def test_a_killed_database_comes_back_beside_what_still_runs(folder: Folder, known: State) -> None:
    stack.up(folder, known, inherited(), Started())
    record = processes.running(folder, "postgres")
    assert record is not None
    processes.os.kill(record.pid, signal.SIGKILL)
    while processes.alive(record):
        processes.time.sleep(0.01)
    assert len(processes.forget_stale(folder)) == 1
    again = Started()
    stack.up(folder, known, inherited(), again)
    assert [service.name for service in again.services] == ["postgres"]


@pytest.mark.usefixtures("only_stores")
def test_neither_database_lets_anybody_in_without_the_password(folder: Folder, known: State) -> None:
    stack.up(folder, known, inherited(), Started())
    with redis.Redis(port=known.ports["valkey"]) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    known.owner_password = "wrong"
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(run_sql(known, "SELECT 1"))


def test_a_start_that_fails_half_way_ends_what_it_started_and_shows_the_last_lines(
    folder: Folder, known: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Launch("gateway", (sys.executable, "-c", "raise SystemExit('no such luck')"))
    service = Service("gateway", lambda: broken, lambda: "not yet")
    monkeypatch.setattr(services, "platform", lambda _folder, _state: (service,))
    monkeypatch.setattr(migrations, "apply", lambda *_: None)
    started = Started()
    with pytest.raises(
        Fault, match=r"gateway ended while it was starting: see .*gateway\.log; its last lines:\nno such luck"
    ):
        bring_up(folder, known, started)
    assert {service.name for service in started.services} == {"valkey", "postgres", "gateway"}
    assert list((folder.root / "run").glob("*.pid")) == []


def test_a_process_that_never_gets_ready_is_named_with_what_it_lacks(
    folder: Folder, known: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    idle = Launch("valkey", (sys.executable, "-c", "import time; time.sleep(60)"))
    service = Service("valkey", lambda: idle, lambda: "redis: down", ready_within_s=0.3)
    monkeypatch.setattr(services, "stores", lambda *_: (service,))
    with pytest.raises(Fault, match=r"valkey is not ready after 0 s: redis: down"):
        bring_up(folder, known, Started())
    assert processes.running(folder, "valkey") is None


def bring_up(folder: Folder, known: State, started: Started) -> None:
    with stack.ended_on_failure(folder, started):
        stack.up(folder, known, inherited(), started)


async def run_sql(known: State, sql: str) -> object:
    connection = await asyncpg.connect(postgres.url(known, postgres.OWNER, known.owner_password))
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()

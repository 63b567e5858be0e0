"""What the embedded stack remembers in `.ias/`, and who may read it."""

import errno
import os
import stat
from pathlib import Path

import pytest

from ias.dev import dev_env, opening, postgres, services, state, valkey
from ias.dev.fault import Fault, told_plainly
from ias.dev.state import Folder, Person, State


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path / ".ias")
    state.prepare(folder)
    return folder


def a_state() -> State:
    names = ("gateway", "gateway_metrics", "api", "worker", "engine", "engine_control", "postgres", "valkey")
    known = State(ports={name: 7000 + number for number, name in enumerate(names)})
    known.demo.org_id, known.demo.api_key = "0198", "ias_key"
    return known


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_state_is_the_same_at_the_next_start(folder: Folder) -> None:
    known = a_state()
    state.save(folder, known)
    assert state.load(folder) == known
    assert mode(folder.state_file) == 0o600


def test_every_checkout_gets_secrets_of_its_own() -> None:
    one, other = State(), State()
    assert one.jwt_secret != other.jwt_secret
    assert one.demo.admin.password != other.demo.admin.password
    assert len(one.jwt_secret) >= 32


def test_a_demo_password_has_every_class_of_characters() -> None:
    password = Person("somebody@example.com").password
    assert any(sign.isupper() for sign in password)
    assert any(sign.islower() for sign in password)
    assert any(sign.isdigit() for sign in password)
    assert any(not sign.isalnum() for sign in password)


def test_a_damaged_state_is_refused_with_the_mend(folder: Folder) -> None:
    folder.state_file.write_text('{"ports": 3}')
    with pytest.raises(Fault, match="make clean"):
        state.load(folder)


def test_only_one_command_at_a_time_changes_the_stack(folder: Folder) -> None:
    with state.alone(folder), pytest.raises(Fault, match="another 'ias dev'"), state.alone(folder):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_refused_with_the_mend(folder: Folder) -> None:
    os.chown(folder.root, 4242, 4242)
    with pytest.raises(Fault, match=r"belongs to 4242: run as 4242, or remove it"):
        state.prepare(folder)


def test_dev_env_is_private_and_holds_what_is_promised(folder: Folder) -> None:
    dev_env.write(folder, a_state())
    lines = dict(line.split("=", 1) for line in folder.env_file.read_text().splitlines())
    assert mode(folder.env_file) == 0o600
    assert lines["IAS_GATEWAY_URL"] == "http://127.0.0.1:7000"
    assert lines["IAS_METRICS_URL"] == "http://127.0.0.1:7001"
    assert lines["IAS_API_URL"] == "http://127.0.0.1:7002"
    assert lines["OPENAI_BASE_URL"] == "http://127.0.0.1:7000/v1"
    assert lines["OPENAI_API_KEY"] == "ias_key"
    assert {"IAS_ADMIN_EMAIL", "IAS_ADMIN_PASSWORD", "IAS_ORG_ID"} <= lines.keys()


def test_dev_env_is_replaced_whole_and_leaves_nothing_beside_it(folder: Folder) -> None:
    for _ in range(2):
        dev_env.write(folder, a_state())
    assert [path.name for path in folder.root.glob("dev.env*")] == ["dev.env"]


def test_valkey_keeps_what_it_is_told_and_evicts_nothing(folder: Folder) -> None:
    known = a_state()
    launch = valkey.launch(folder, known)
    config = Path(launch.command[1])
    assert {"appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"} <= set(
        config.read_text().splitlines()
    )
    assert mode(config) == 0o600
    assert not any(known.valkey_password in part for part in launch.command)


def test_the_processes_never_get_the_owner_of_the_database_as_their_login() -> None:
    known = a_state()
    told = services.environment(known)
    assert told["IAS_DATABASE_URL"].startswith(f"postgresql://{postgres.LOGIN}:")
    assert told["IAS_MIGRATION_DATABASE_URL"].startswith(f"postgresql://{postgres.OWNER}:")
    assert known.owner_password not in told["IAS_DATABASE_URL"]


@pytest.mark.parametrize(
    ("number", "sentence"),
    [(errno.ENOSPC, "is full: make room"), (errno.EACCES, "may not be written"), (errno.EDQUOT, "is full")],
)
def test_an_error_of_the_system_that_one_can_mend_becomes_a_sentence(number: int, sentence: str) -> None:
    with pytest.raises(Fault, match=sentence), told_plainly("here"):
        raise OSError(number, os.strerror(number), "file")


def test_any_other_error_of_the_system_stays_what_it_is() -> None:
    with pytest.raises(OSError, match="Input/output"), told_plainly("here"):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_disk_that_is_nearly_full_is_told_before_anything_starts(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    opening.refuse_full_disk(folder)
    monkeypatch.setattr(opening, "MIN_FREE_BYTES", 1 << 62)
    with pytest.raises(Fault, match="has less than 1 GB free: make room"):
        opening.refuse_full_disk(folder)

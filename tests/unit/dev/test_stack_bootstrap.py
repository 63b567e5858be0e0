"""scripts/bootstrap: what it refuses, and that a second run has nothing to do."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[3]
TOOLS = ("sh", "dirname", "cat", "cksum", "id", "df", "awk", "grep", "sed", "head", "tail", "rm", "uname")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing but what the script reads."""
    for name in ("scripts/bootstrap", "requirements", "pyproject.toml"):
        source, goal = CHECKOUT / name, tmp_path / "checkout" / name
        goal.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, goal)
    return tmp_path / "checkout"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A PATH with the system's small tools and no Python."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in TOOLS:
        (folder / tool).symlink_to(str(shutil.which(tool)))
    return folder


def bootstrap(checkout: Path, path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ("sh", str(checkout / "scripts/bootstrap"), *words),
        env={"PATH": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )


def command(path: Path, name: str, script: str) -> None:
    """Put a program of our own on the PATH."""
    (path / name).unlink(missing_ok=True)
    (path / name).write_text(f"#!/bin/sh\n{script}\n")
    (path / name).chmod(0o755)


def test_without_a_python_that_is_new_enough_one_sentence_says_what_to_install(checkout: Path, path: Path) -> None:
    command(path, "python3", "exit 1")
    command(path, "apt-get", "exit 1")
    ran = bootstrap(checkout, path)
    assert ran.returncode == 1
    assert ran.stderr.startswith("bootstrap: no Python >= 3.11 was found: run 'apt-get install python3")
    assert ran.stderr.count("\n") == 1


def test_a_full_disk_is_told_before_anything_is_fetched(checkout: Path, path: Path) -> None:
    command(path, "df", "printf 'Filesystem 1024-blocks Used Available\\n/dev/x 9 9 999999 1 /\\n'")
    ran = bootstrap(checkout, path)
    assert ran.returncode == 1
    assert "less than 1 GB free: make room" in ran.stderr
    assert not (checkout / ".venv").exists()


def test_debian_python_without_ensurepip_asks_an_ordinary_user_for_the_package(checkout: Path, path: Path) -> None:
    command(path, "python3", 'case "$2" in *ensurepip*) exit 1 ;; *print*) echo 3.11 ;; esac')
    command(path, "id", "echo 1000")
    command(path, "apt-get", "exit 1")
    ran = bootstrap(checkout, path)
    assert "run 'sudo apt-get install python3.11-venv', then try again" in ran.stderr


@pytest.mark.parametrize("name", ["evil.pth", "zzz_coverage.pth"])
def test_a_pth_file_that_nobody_listed_is_refused(checkout: Path, path: Path, name: str) -> None:
    packages = checkout / ".venv/lib/python3.11/site-packages"
    packages.mkdir(parents=True)
    (packages / name).write_text("import os\n")
    ran = bootstrap(checkout, path)
    assert ran.returncode == 1
    assert f"{name} runs code at every start of Python and is not on the list" in ran.stderr


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full: make room"),
        ("dns error: failed to lookup address information", "the package index cannot be reached"),
        ("ERROR: No matching distribution found for granian==2.8.7", "there is no ready-made wheel of granian==2.8.7"),
        ("something nobody has seen before", "installing packages failed: see"),
    ],
)
def test_what_an_installer_says_becomes_one_sentence_with_the_mend(
    checkout: Path, path: Path, said: str, sentence: str
) -> None:
    scripts = checkout / ".venv/bin"
    scripts.mkdir(parents=True)
    version = (checkout / "requirements/uv.txt").read_text().split("==")[1].split()[0]
    command(scripts, "python", f'case "$*" in *" install "*) echo "{said}" >&2; exit 1 ;; esac')
    command(scripts, "uv", f'[ "$1" = --version ] && echo "uv {version}" || {{ echo "{said}" >&2; exit 1; }}')
    ran = bootstrap(checkout, path)
    assert ran.returncode == 1
    assert sentence in ran.stderr
    assert not (checkout / ".venv/.bootstrapped").exists()


def test_a_second_run_does_nothing_and_a_changed_lock_is_installed(checkout: Path, path: Path) -> None:
    calls = prepared(checkout)
    assert bootstrap(checkout, path, "run").returncode == 0
    first = calls.read_text()
    assert "pip sync" in first
    assert bootstrap(checkout, path, "run").stdout == ""
    assert calls.read_text() == first
    with (checkout / "requirements/run.txt").open("a") as lock:
        lock.write("# changed\n")
    assert bootstrap(checkout, path, "run").returncode == 0
    assert calls.read_text() != first


def test_what_tests_need_is_not_torn_out_by_a_later_make_up(checkout: Path, path: Path) -> None:
    calls = prepared(checkout)
    bootstrap(checkout, path, "dev")
    (checkout / "pyproject.toml").open("a").write("# changed\n")
    calls.unlink()
    assert bootstrap(checkout, path, "run").returncode == 0
    assert "requirements/dev.txt" in calls.read_text()
    assert "requirements/run.txt" not in calls.read_text()


def prepared(checkout: Path) -> Path:
    """An environment whose uv writes down what it was asked to do."""
    scripts = checkout / ".venv/bin"
    scripts.mkdir(parents=True)
    calls = checkout / "calls"
    version = (checkout / "requirements/uv.txt").read_text().split("==")[1].split()[0]
    command(scripts, "python", "exit 0")
    command(scripts, "ias", f"# {checkout}/")
    command(scripts, "uv", f'[ "$1" = --version ] && echo "uv {version}" || echo "$*" >> "{calls}"')
    return calls


def test_locks_name_no_index_and_every_package_has_a_hash() -> None:
    for lock in (CHECKOUT / "requirements").glob("*.txt"):
        text = lock.read_text()
        assert "://" not in text
        packages = [part for part in text.replace("\\\n", "").splitlines() if part and not part.startswith("#")]
        assert packages
        assert all("--hash=sha256:" in package for package in packages)


def test_the_smaller_lock_is_part_of_the_bigger_one() -> None:
    run, dev = (pins(CHECKOUT / f"requirements/{name}.txt") for name in ("run", "dev"))
    assert run < dev


def pins(lock: Path) -> set[str]:
    return {line.split(" ")[0] for line in lock.read_text().splitlines() if not line.startswith((" ", "#"))}


def test_the_script_can_be_run() -> None:
    assert os.access(CHECKOUT / "scripts/bootstrap", os.X_OK)

"""The wheel, installed as a person would into a clean environment: its commands work away from the checkout."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.services import Services

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by way of the source distribution, which so is known to be whole."""
    out = tmp_path_factory.mktemp("dist")
    within = ("--quiet", "--offline", "--no-build-isolation", f"--python={sys.executable}", f"--out-dir={out}")
    built = _run(sys.executable, "-m", "uv", "build", *within, ".", cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (only,) = out.glob("*.whl")
    return only


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of an environment with what the image's lock says, and the wheel."""
    home = tmp_path_factory.mktemp("clean") / "venv"
    uv = (sys.executable, "-m", "uv")
    for argv in (
        (*uv, "venv", "--quiet", f"--python={sys.executable}", str(home)),
        (
            *uv,
            "pip",
            "install",
            "--quiet",
            f"--python={home}",
            "--require-hashes",
            "--requirement=requirements/image.txt",
        ),
        (*uv, "pip", "install", "--quiet", f"--python={home}", "--offline", "--no-deps", str(wheel)),
        (*uv, "pip", "check", "--quiet", f"--python={home}"),
    ):
        done = _run(*argv, cwd=ROOT)
        assert done.returncode == 0, done.stderr
    return home / "bin"


def test_the_wheel_has_every_file_of_the_packages_the_migrations_and_the_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    ours = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*") if _is_ours(path)}
    migrations = {f"ias/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "migrations").rglob("*.py")}
    assert {"ias/contract/functions.lua", "ias/templates/page.html", "ias/static/console.css"} <= ours
    assert migrations
    assert ours | migrations <= names
    assert not [name for name in names if name.startswith(("tests", "bench", "docs")) or name.endswith((".pyc", ".so"))]
    (licence,) = (name for name in names if name.endswith("licenses/LICENSE"))
    assert zipfile.ZipFile(wheel).read(licence) == (ROOT / "LICENSE").read_bytes()


def _is_ours(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts and path.suffix != ".so"


@pytest.mark.parametrize("program", ["ias", "ias-admin", "ias-gateway"])
def test_a_command_of_the_wheel_works(installed: Path, tmp_path: Path, program: str) -> None:
    told = _run(str(installed / program), "--help", cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    assert "Usage" in told.stdout or "usage" in told.stdout


def test_the_wheel_migrates_a_database_and_loads_the_library_away_from_the_checkout(
    installed: Path, tmp_path: Path, services: Services
) -> None:
    with services.database() as database, services.fresh("redis") as redis:
        env = {
            "IAS_DATABASE_URL": database,
            "IAS_REDIS_URL": redis.url,
            "IAS_JWT_SECRET": "s" * 40,
            "HOME": str(tmp_path),
        }
        migrated = _run(str(installed / "ias"), "migrate", "up", cwd=tmp_path, env=env)
        assert migrated.returncode == 0, migrated.stderr
        told = _run(str(installed / "ias"), "migrate", "status", cwd=tmp_path, env=env)
    assert "pending" not in told.stdout
    assert told.stdout.count("applied") == len(list((ROOT / "migrations").glob("*/[!_]*.py")))


def test_without_the_embedded_services_dev_says_what_is_missing(installed: Path, tmp_path: Path) -> None:
    told = _run(str(installed / "ias"), "dev", "status", cwd=tmp_path)
    assert told.returncode == 1
    assert "Traceback" not in told.stderr


def _run(*argv: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, timeout=600)

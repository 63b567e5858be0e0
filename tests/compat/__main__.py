"""`python -m tests.compat`: runs the API tests of the release before, as they were, on what this release migrates to.

While processes are replaced, and after a release is taken back, the older programs run on the newer schema and call the
newer Function library. So in the older checkout `ias migrate` is this one's, and so is the library; nothing else: its
programs, its environment (of its own lock) and its tests are as they were.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".cache" / "compat"
WITHDRAWN = Path(__file__).with_name("withdrawn.txt")

BASELINE = "a122c86c2efb38f97dc28b265ad92c127d65123e"
"""Where no release has been tagged yet: the last commit of the schema that the first 14 migrations made."""

SUBSET = (
    *(f"tests/integration/{name}" for name in ("identity", "billing", "analytics", "gitops", "contract", "worker")),
    *(f"tests/integration/gateway/test_{name}.py" for name in ("requests", "budgets", "limits", "key_rules")),
    *(f"tests/integration/gateway/test_{name}.py" for name in ("metering", "losses", "workers")),
)
"""What asks the API, the ledger's and the analytics' consumers, and the Function library."""
LIBRARY = Path("src/ias/contract/functions.lua")

LAUNCHER = """#!/bin/sh
# Migrations are the newer release's, whose runner knows what they need; everything else is of {home}/.
if [ "${{1:-}}" = migrate ]; then
    IAS_MIGRATIONS_DIR={root}/migrations exec {bin}/ias "$@"
fi
exec {home}/.venv/bin/python -c 'from ias.cli import main; main()' "$@"
"""


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--release", help="A tag or commit, instead of the last tag `v*`.")
@click.option("--install", is_flag=True, help="Make its environment and no more.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def main(release: str | None, install: bool, arguments: tuple[str, ...]) -> None:
    """Run what the release before came with; ARGUMENTS go to its pytest, tests among them replace the usual ones."""
    commit = _commit(release or _last_tag() or BASELINE)
    home = _checkout(commit)
    _bootstrap(home)
    _renew(home)
    if install:
        return
    named = any(Path(home, argument.partition("::")[0]).exists() for argument in arguments)
    tests = () if named else tuple(path for path in SUBSET if (home / path).exists())
    left_out = [f"--deselect={test}" for test in _withdrawn(commit)]
    click.echo(f"compat: the tests of {commit[:12]} on this checkout's schema and library, less {len(left_out)}")
    pytest = (
        str(home / ".venv/bin/python"),
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "--dist=loadfile",
        "-p",
        "no:cacheprovider",
    )
    sys.exit(
        subprocess.run([*pytest, *left_out, *tests, *arguments], cwd=home, env=_environment(), check=False).returncode
    )


def _commit(name: str) -> str:
    found = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if not found:
        raise click.ClickException(
            f"there is no commit {name} here; run `git fetch --tags --unshallow`, then try again"
        )
    return found


def _last_tag() -> str:
    """The last tag before what is checked out, empty where there is none: a release that is being made has its own."""
    return _git("describe", "--tags", "--abbrev=0", "--match=v*", "HEAD^")


def _git(*arguments: str) -> str:
    """What git says; nothing where it refuses."""
    asked = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def _checkout(commit: str) -> Path:
    """A clone at the commit, as it was."""
    home = HOME / commit[:12]
    if not (home / ".git").is_dir():
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run(["git", "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(home)], check=True)
    subprocess.run(["git", "-C", str(home), "checkout", "--quiet", "--force", commit], check=True)
    return home


def _bootstrap(home: Path) -> None:
    """Its environment, of its own lock."""
    env = _environment() | {"PYTHON": str(Path(sys.base_prefix, "bin", "python3"))}
    subprocess.run(["scripts/bootstrap", "dev"], cwd=home, env=env, check=True)


def _renew(home: Path) -> None:
    """Let it migrate with this checkout, and load its library."""
    shutil.copy(ROOT / LIBRARY, home / LIBRARY)
    launcher = home / ".venv/bin/ias"
    launcher.write_text(LAUNCHER.format(home=home, root=ROOT, bin=Path(sys.executable).parent))


def _environment() -> dict[str, str]:
    """Ours, less what would lead its programs back here."""
    ours = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHON")
    mine = ("IAS_TEST_DATABASE_URL", "IAS_TEST_REDIS_URL", "IAS_TEST_AMQP_URL", "IAS_TEST_RABBITMQ_MANAGEMENT_URL")
    passed = {name: value for name, value in os.environ.items() if name not in ours}
    return {name: value for name, value in passed.items() if not name.startswith("IAS_") or name in mine}


def _withdrawn(commit: str) -> list[str]:
    """Tests of a release that this one breaks on purpose."""
    rows = [line.partition("#")[0].split() for line in WITHDRAWN.read_text().splitlines()]
    return [row[1] for row in rows if row and commit.startswith(row[0])]


if __name__ == "__main__":
    main(prog_name="python -m tests.compat")

"""`ias-admin` as a program of its own: pipes, colours, completion, start; and the commands that ask nobody."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.cli.answering import answering
from tests.integration.cli.shell import Shell
from tests.integration.identity.conftest import ROOT, Api
from tests.product.processes import BIN
from tests.services import free_port

MANUAL = Path(__file__).parents[3] / "docs/cli.md"


def program(shell: Shell, line: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `ias-admin` may be called."""
    env = {name: value for name, value in shell.env().items() if value}
    told = env | {"PATH": f"{BIN}:/usr/bin:/bin", "TERM": "xterm-256color"} | more
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", line], env=told, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def away(tmp_path: Path) -> Shell:
    """A shell for what needs no API."""
    return Shell(tmp_path, f"http://127.0.0.1:{free_port()}")


def test_a_reader_who_has_enough_is_no_failure(away: Shell) -> None:
    done = program(away, "ias-admin manual | head -1; echo ${PIPESTATUS[0]}")
    assert done.stdout == "# ias-admin\n0\n"
    assert done.stderr == ""


def test_a_table_has_no_colours_in_a_pipe_nor_with_no_color(away: Shell) -> None:
    for line in ("ias-admin doctor", "NO_COLOR=1 ias-admin doctor --help"):
        assert "\x1b[3" not in program(away, line).stdout


def test_help_starts_no_server() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from ias.cli import ias_admin;"
        "assert CliRunner().invoke(ias_admin, ['--help']).exit_code == 0;"
        "assert CliRunner().invoke(ias_admin, ['org', 'limits', '--help']).exit_code == 0;"
        "print(*sys.modules)"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"asyncpg", "granian", "keyring", "litestar", "opentelemetry", "piccolo", "redis", "ruamel.yaml", "uvloop"}
    assert heavy.isdisjoint(loaded)
    assert "ias.billing.catalogue.cli" in loaded


@pytest.mark.parametrize("shell_name", ["bash", "zsh", "fish"])
def test_completion_prints_what_a_shell_reads_in(away: Shell, shell_name: str) -> None:
    assert "_IAS_ADMIN_COMPLETE" in away.good("completion", shell_name)


def test_bash_completes_commands_of_every_slice(away: Shell) -> None:
    done = program(away, 'eval "$(ias-admin completion bash)"; complete -p ias-admin')
    assert "ias-admin" in done.stdout, done.stderr
    asked = program(away, "ias-admin", _IAS_ADMIN_COMPLETE="bash_complete", COMP_WORDS="ias-admin org ", COMP_CWORD="2")
    assert {"plain,budget", "plain,list"} <= set(asked.stdout.split()), asked.stderr


def test_the_manual_is_what_is_in_the_docs(away: Shell) -> None:
    assert away.good("manual") == MANUAL.read_text(), "run `ias-admin manual > docs/cli.md`"


def test_every_option_says_what_it_does_in_one_line(away: Shell) -> None:
    rows = [line for line in away.good("manual").splitlines() if line.startswith("| `-")]
    assert len(rows) > 50
    for row in rows:
        said = row.split("` | ", 1)[1].removesuffix(" |")
        assert said.strip(), row
        assert len(said) <= 120, row


def test_bootstrap_ends_with_what_went_wrong(api: Api) -> None:
    made = ("ias-admin", "bootstrap", "create-super-admin")
    assert api.command(*made, "--nonsense").returncode == 2
    assert api.command(*made, f"--email={ROOT}", stdin="Correct-horse-7-battery!\n").returncode == 7
    assert api.command(*made, "--email=x@example.org", stdin="weak\n").returncode == 1
    away = Api(api.process, {**api.env, "IAS_DATABASE_URL": f"postgresql://u:p@127.0.0.1:{free_port()}/x"})
    gone = away.command(*made, "--email=x@example.org", stdin="Correct-horse-7-battery!\n")
    assert gone.returncode == 9
    assert gone.stderr.count("\n") == 1
    unset = Api(api.process, {**api.env, "IAS_JWT_SECRET": "short"})
    bad = unset.command(*made, "--email=x@example.org", stdin="Correct-horse-7-battery!\n")
    assert bad.returncode == 1
    assert "IAS_JWT_SECRET" in bad.stderr


@pytest.mark.parametrize(
    "line", ["org list", "whoami", "usage show", "audit verify", "org limits set --burst 3", "login --email a@b"]
)
def test_an_address_where_something_else_answers_is_one_sentence(away: Shell, line: str) -> None:
    away.token = "x"
    with answering(200, b"<html>hello</html>") as away.api_url:
        done = away.run(*line.split(), stdin="a@example.org\nsecret\n")
    assert done.exit_code == 9, done.output
    assert done.stderr.count("\n") == 1
    assert "is the address right?" in done.stderr


@pytest.mark.parametrize("address", ["127.0.0.1:8081", "ftp://x", "http://[", "http://", "://", "http://a b/"])
def test_an_address_that_is_none_is_one_sentence(away: Shell, address: str) -> None:
    away.token, away.api_url = "x", address
    done = away.run("whoami")
    assert done.exit_code == 9, done.output
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("status", [302, 400, 401, 404, 405, 500, 503])
def test_where_something_else_answers_nothing_is_said_to_be_missing_or_forbidden(away: Shell, status: int) -> None:
    away.token = "x"
    with answering(status, b"<html>hello</html>") as away.api_url:
        done = away.run("org", "list")
    assert done.exit_code == 9, done.output
    assert "is the address right?" in done.stderr


def test_who_has_had_enough_of_us_says_so_whoever_it_is(away: Shell) -> None:
    away.token = "x"
    with answering(429, b"slow down", **{"Retry-After": "7"}) as away.api_url:
        done = away.run("org", "list")
    assert done.exit_code == 8
    assert "try again in 7 s" in done.stderr


def test_without_a_session_the_command_that_begins_this_one_is_told(tmp_path: Path) -> None:
    nobody = Shell(tmp_path, "http://127.0.0.1:1")
    assert "`ias-admin login --profile other`" in nobody.run("whoami", "--profile", "other").stderr
    assert "`ias-admin login`" in nobody.run("whoami").stderr

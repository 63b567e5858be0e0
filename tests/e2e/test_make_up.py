"""`make up` as a new user runs it: a checkout in an empty folder, with services sitting on the standard ports."""

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec
import openai
import pytest

from ias.dev.settings import inherited
from ias.dev.vllm import installation
from tests.e2e import blocks

CHECKOUT = Path(__file__).resolve().parents[2]
NOT_CLONED = shutil.ignore_patterns(".git", ".venv", ".ias", ".nox", ".cache", "*_cache", "__pycache__", ".coverage*")
NAMES = ("valkey", "postgres", "engine", "api", "worker", "gateway")
STANDARD = {8080: "gateway", 9080: "gateway metrics", 8081: "api", 8082: "worker", 8000: "engine"}
MINUTES = 60

pytestmark = [pytest.mark.xdist_group("make_up"), pytest.mark.timeout(8 * MINUTES)]


class Stack(msgspec.Struct):
    """A checkout in which `make up` was run."""

    checkout: Path
    first: subprocess.CompletedProcess[str]

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout, without a terminal and without what this test run was told."""
        return run(self.checkout, *command, **more)

    def variables(self) -> dict[str, str]:
        """`.ias/dev.env`."""
        return dict(line.split("=", 1) for line in (self.checkout / ".ias/dev.env").read_text().splitlines())

    def pids(self) -> dict[str, int]:
        """The recorded pids."""
        files = (self.checkout / ".ias/run").glob("*.pid")
        return {file.stem: msgspec.json.decode(file.read_bytes(), type=dict[str, str | int])["pid"] for file in files}


def run(where: Path, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        check=False,
        cwd=where,
        env=surroundings() | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def surroundings() -> dict[str, str]:
    dropped = ("OPENAI_", "MAKE", "MFLAGS", "PYTEST", "COV", "VIRTUAL_ENV")
    return {name: value for name, value in inherited().items() if not name.startswith(dropped)}


def at_home(checkout: Path, home: Path) -> dict[str, str]:
    """The surroundings of somebody who has the commands on the path, and logins of their own."""
    path = f"{checkout}/.venv/bin:{os.environ['PATH']}"
    return surroundings() | {"HOME": str(home), "PATH": path, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A new checkout, brought up while somebody sits on each of the standard ports.

    Not in pytest's own folder: any other run of pytest closes that to PostgreSQL's system user.
    """
    home = Path(tempfile.mkdtemp(prefix="a new user "))
    checkout = home / "ias"
    shutil.copytree(CHECKOUT, checkout, ignore=NOT_CLONED, symlinks=True)
    with ExitStack() as holding:
        for port in (*STANDARD, 5432, 6379):
            server = holding.enter_context(socket.socket())
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):  # then it is taken already
                server.bind(("127.0.0.1", port))
                server.listen()
        stack = Stack(checkout, run(checkout, "make", "up"))
        yield stack
        stack.run("make", "down")
    shutil.rmtree(home)


@pytest.fixture
def running(stack: Stack) -> Stack:
    """The stack, with everything running."""
    again = stack.run("make", "up")
    assert again.returncode == 0, again.stdout + again.stderr
    return stack


def alive(pid: int) -> bool:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return fields[0] not in "ZX"


def test_from_a_fresh_checkout_make_up_succeeds_and_everything_runs(stack: Stack) -> None:
    assert stack.first.returncode == 0, stack.first.stdout + stack.first.stderr
    assert set(stack.pids()) == set(NAMES)
    assert all(map(alive, stack.pids().values()))


def test_each_standard_port_that_was_taken_is_mentioned_and_avoided(stack: Stack) -> None:
    for port, name in STANDARD.items():
        sentence = rf"^Port {port} is taken; {name} listens on (\d+) instead\.$"
        assert re.search(sentence, stack.first.stdout, re.MULTILINE), stack.first.stdout


def test_the_main_job_is_done_once_and_its_ledger_line_is_printed(stack: Stack) -> None:
    said = re.search(
        r"^One streamed completion with the demo key \(mock-gpt\):\n  (.+)\n"
        r"Its ledger line: (\d+) input tokens \(\d+ cached\), (\d+) output tokens, cost 0\.\d+, completed",
        stack.first.stdout,
        re.MULTILINE,
    )
    assert said, stack.first.stdout
    text, tokens_in, tokens_out = said.groups()
    assert len(text.split()) > 1
    assert int(tokens_in) > 0
    assert int(tokens_out) > 0


def test_without_a_terminal_the_output_has_no_control_codes(stack: Stack) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", stack.first.stdout)


def test_dev_env_may_be_read_by_its_owner_only(stack: Stack) -> None:
    assert stat.S_IMODE((stack.checkout / ".ias/dev.env").stat().st_mode) == 0o600


def test_the_printed_curl_streams_a_completion(running: Stack) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on this machine")
    said = running.run("make", "up").stdout
    command = re.search(r"^curl -N .*\n.*\n.*'$", said, re.MULTILINE)
    assert command, said
    answer = running.run("sh", "-c", command[0])
    assert answer.stdout.startswith("data: {")
    assert answer.stdout.rstrip().endswith("data: [DONE]")


def test_openais_sdk_works_with_what_dev_env_says(running: Stack) -> None:
    told = running.variables()
    client = openai.OpenAI(base_url=told["OPENAI_BASE_URL"], api_key=told["OPENAI_API_KEY"])
    answer = client.chat.completions.create(model="mock-gpt", messages=[{"role": "user", "content": "Hello"}])
    assert answer.choices[0].message.content
    assert answer.usage
    assert answer.usage.completion_tokens > 0


@pytest.mark.parametrize("page", ["docs/getting-started.md", "README.md"])
def test_every_block_of_the_first_pages_does_what_it_says(running: Stack, tmp_path: Path, page: str) -> None:
    commands = blocks.read(CHECKOUT / page)
    env = at_home(running.checkout, tmp_path)
    for block, printed in zip(commands, blocks.run(commands, running.checkout, env), strict=True):
        assert not blocks.missing(block, printed), f"{block.text}\nprints\n{printed}"


def test_ias_dev_env_can_be_evaluated_by_a_shell(running: Stack) -> None:
    said = running.run("sh", "-c", 'eval "$(.venv/bin/ias dev env)" && printf %s "$OPENAI_API_KEY"')
    assert said.stdout == running.variables()["OPENAI_API_KEY"]


def test_ias_dev_run_gives_a_command_what_the_stacks_processes_are_told(running: Stack) -> None:
    doctor = running.run(".venv/bin/ias", "dev", "run", "ias", "doctor", "--json")
    found = {(each["subject"], each["fact"]): each["well"] for each in msgspec.json.decode(doctor.stdout)["findings"]}
    assert found["postgresql", "migrations"]
    assert found["redis", "function library"]
    assert found["gateways", "running"]


@pytest.mark.parametrize(
    ("command", "code", "words"), [("false", 1, ""), ("true", 0, ""), ("nothing-like-it", 1, "'nothing-like-it'")]
)
def test_ias_dev_run_ends_as_its_command_does(running: Stack, command: str, code: int, words: str) -> None:
    ended = running.run(".venv/bin/ias", "dev", "run", command)
    assert ended.returncode == code
    assert words in ended.stderr


def test_ias_dev_run_says_of_a_file_that_is_no_program_that_it_cannot_be_run(running: Stack, tmp_path: Path) -> None:
    file = tmp_path / "notes"
    file.write_bytes(b"\0 not a program")
    file.chmod(0o755)
    ended = running.run(".venv/bin/ias", "dev", "run", str(file))
    assert ended.returncode == 1
    assert ended.stderr == f"ias dev: {file} cannot be run: Exec format error.\n"


def test_make_up_while_everything_runs_says_so_and_repeats_the_summary(running: Stack) -> None:
    before = running.pids()
    again = running.run("make", "up")
    assert again.returncode == 0
    assert "Everything runs already, and all of it is ready." in again.stdout
    assert running.variables()["OPENAI_BASE_URL"] in again.stdout
    assert running.pids() == before


def test_status_names_every_process_and_fails_when_one_was_killed(running: Stack) -> None:
    whole = running.run(".venv/bin/ias", "dev", "status")
    assert whole.returncode == 0
    assert len(re.findall(r"pid \d+ +port \d+ +ready", whole.stdout)) == len(NAMES)
    kill(running, "worker")
    broken = running.run(".venv/bin/ias", "dev", "status")
    assert broken.returncode == 1
    assert re.search(r"^worker .*not running$", broken.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", NAMES)
def test_a_killed_process_is_told_of_as_stale_and_started_again(running: Stack, name: str) -> None:
    before, key = running.pids(), running.variables()["OPENAI_API_KEY"]
    kill(running, name)
    mended = running.run("make", "up")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert f"{name} (pid {before[name]}) ended by itself or was killed; its stale record was removed." in mended.stdout
    assert running.pids()[name] != before[name]
    assert running.variables()["OPENAI_API_KEY"] == key


def test_make_down_ends_everything_and_the_next_make_up_finds_the_same_demo(running: Stack) -> None:
    before, told = running.pids(), running.variables()
    ended = running.run("make", "down")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert not any(map(alive, before.values()))
    assert running.pids() == {}
    assert "Nothing runs here." in running.run("make", "down").stdout

    again = running.run("make", "up")
    assert again.returncode == 0, again.stdout + again.stderr
    kept = ("OPENAI_API_KEY", "IAS_ORG_ID", "IAS_ADMIN_PASSWORD")
    assert {name: running.variables()[name] for name in kept} == {name: told[name] for name in kept}
    assert "Its ledger line:" in again.stdout


def test_a_port_that_was_asked_for_and_is_taken_stops_the_start_and_leaves_nothing(running: Stack) -> None:
    running.run("make", "down")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        refused = running.run(".venv/bin/ias", "dev", "up", "--detach", IAS_GATEWAY_PORT=str(port))
    assert refused.returncode == 1
    assert refused.stderr == (
        f"ias dev: port {port} is in use: end what listens there, or set IAS_GATEWAY_PORT to a free one.\n"
    )
    assert running.pids() == {}


def test_a_model_that_nobody_knows_is_refused_with_those_there_are(running: Stack) -> None:
    refused = running.run("make", "up", "MODEL=gpt-9")
    assert refused.returncode != 0
    assert "ias dev: there is no model 'gpt-9': MODEL may be mock-gpt or smollm2.\n" in refused.stderr


def test_a_model_in_the_environment_for_something_else_is_none_of_ours(running: Stack) -> None:
    assert running.run("make", "up", MODEL="gpt-9").returncode == 0


@pytest.mark.parametrize(
    ("without", "said"),
    [
        (("--mount", "mount -t tmpfs -o size=64m none {cache}"), r"vLLM needs 5 GB under \S+ and 0\.1 GB are free: .+"),
        (("--net", "true"), r"the package index cannot be reached, and vLLM is not installed yet: .+"),
    ],
    ids=["space", "network"],
)
def test_what_keeps_vllm_from_being_installed_is_one_sentence(
    running: Stack, tmp_path: Path, without: tuple[str, str], said: str
) -> None:
    how, first = without
    unshared = ("unshare", how, "sh", "-ec")
    if shutil.which("unshare") is None or run(tmp_path, *unshared, first.format(cache=tmp_path)).returncode:
        pytest.skip(f"this user may not take away a disk's space or the network ('unshare {how}')")
    before = running.pids()
    command = f"{first}; exec .venv/bin/ias dev up --detach --model smollm2".format(cache=tmp_path)
    refused = running.run(*unshared, command, XDG_CACHE_HOME=str(tmp_path), UV_CACHE_DIR=str(tmp_path / "uv"))
    assert refused.returncode == 1
    assert re.fullmatch(rf"ias dev: {said}\n", refused.stderr), refused.stderr
    assert running.pids() == before


def installed(cache: Path, script: str) -> None:
    """An installation of vLLM whose Python is this script."""
    found = installation.here({"XDG_CACHE_HOME": str(cache)})
    found.python.parent.mkdir(parents=True)
    found.python.write_text(f"#!/bin/sh\n{script}\n")
    found.python.chmod(0o755)
    found.stamp.touch()
    found.model.mkdir()


def test_a_vllm_that_does_not_start_is_told_with_its_log_and_the_rest_goes_on(running: Stack, tmp_path: Path) -> None:
    installed(tmp_path, "echo there is no such kernel; exit 1")
    before = running.pids()
    refused = running.run("make", "up", "MODEL=smollm2", XDG_CACHE_HOME=str(tmp_path))
    assert refused.returncode != 0
    assert re.search(
        r"^ias dev: vllm ended while it was starting: see \S+.*/vllm\.log; its last lines:\n"
        r"(?:.*\n)*there is no such kernel\n",
        refused.stderr,
        re.MULTILINE,
    ), refused.stderr
    assert running.pids() == before


def test_the_real_engine_is_one_more_process_of_the_stack(running: Stack, tmp_path: Path) -> None:
    """The mock engine in vLLM's place; `nox -s engine` has the real one."""
    python = running.checkout / ".venv/bin/python"
    seek = 'while [ "$1" != --port ]; do shift; done'
    installed(tmp_path, f'{seek}; exec "{python}" -m ias.dev.engine --model smollm2 --port "$2"')
    home = {"XDG_CACHE_HOME": str(tmp_path)}
    made = running.run("make", "up", "MODEL=smollm2", **home)
    assert made.returncode == 0, made.stdout + made.stderr
    assert re.search(r"demo key \(smollm2\):\n  .+\nIts ledger line: \d+ input", made.stdout), made.stdout
    assert re.search(r"^vLLM +http://127\.0\.0\.1:\d+ ", made.stdout, re.MULTILINE)
    assert set(running.pids()) == {*NAMES, "vllm"}
    told = running.variables()
    client = openai.OpenAI(base_url=told["OPENAI_BASE_URL"], api_key=told["OPENAI_API_KEY"])
    assert {"mock-gpt", "smollm2"} <= {model.id for model in client.models.list()}

    kill(running, "vllm")
    assert re.search(r"^vllm .*not running$", running.run(".venv/bin/ias", "dev", "status").stdout, re.MULTILINE)
    assert "vllm (pid " in running.run("make", "up").stdout
    assert "vllm" not in running.pids()
    assert running.run("make", "up", "MODEL=smollm2", **home).returncode == 0
    pid = running.pids()["vllm"]
    ended = running.run("make", "down")
    assert re.search(r"^  vllm +ended ", ended.stdout, re.MULTILINE)
    assert not alive(pid)


def test_ctrl_c_in_the_foreground_ends_all_of_it_in_order(running: Stack) -> None:
    running.run("make", "down")
    front = subprocess.Popen(
        (".venv/bin/ias", "dev", "up"),
        cwd=running.checkout,
        env=surroundings() | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert front.stdout
    said = ""
    for line in front.stdout:
        said += line
        if line.startswith("Following the logs"):
            break
    else:
        pytest.fail(said)
    pids = running.pids()
    assert set(pids) == set(NAMES)
    front.send_signal(signal.SIGINT)
    rest = front.stdout.read()
    assert front.wait() == 0, rest
    assert re.findall(r"^  (\w+) +ended ", rest, re.MULTILINE) == [
        "gateway",
        "worker",
        "api",
        "engine",
        "postgres",
        "valkey",
    ]
    assert not any(map(alive, pids.values()))


def kill(stack: Stack, name: str) -> None:
    """End a process as a crash would."""
    pid = stack.pids()[name]
    os.kill(pid, signal.SIGKILL)
    while alive(pid):
        pass

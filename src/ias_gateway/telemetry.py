"""What the gateway tells about itself: JSON log lines, and metrics that cost a dictionary look-up each."""

import contextlib
import os
import stat
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from time import time
from typing import Final

import msgspec

from ias.contract import conventions
from ias_gateway.account import request_line
from ias_gateway.series import LATENCY_BUCKETS_S, Series, Tally

Labels = tuple[str, ...]

_LEVELS = ("debug", "info", "warning", "error")
_INFO: Final = 1
_FLUSH_AT: Final = 200
_MOST_KEPT = 1000
"""Pieces of at most 4 KiB."""
PIECE_BYTES = 4096
"""PIPE_BUF of Linux: so much goes into a pipe whole, whatever other workers write to it at the same time."""

_encode = msgspec.json.Encoder(enc_hook=str).encode


class Log:
    """JSON lines on standard output; written on `flush`, when enough of them wait, and at once from warnings on."""

    def __init__(self, process: str, level: str) -> None:
        self._process, self._quoted = process, _encode(process)
        self._least = _LEVELS.index(level.lower()) if level.lower() in _LEVELS else 1
        self._lines: list[bytes] = []
        self._lost = 0

    def line(self, level: str, event: str, **fields: object) -> None:
        """Note an event."""
        if _LEVELS.index(level) < self._least:
            return
        self._lines.append(
            _encode({"time": time(), "level": level, "process": self._process, "event": event, **fields})
        )
        if level != "info" or len(self._lines) >= _FLUSH_AT:
            self.flush()

    def request(self, request_id: str, endpoint: str, status: int, seconds: float) -> None:
        """Note a request; what `line` would say, at a tenth of its cost."""
        if self._least <= _INFO:
            self._lines.append(request_line(self._quoted, request_id, endpoint, (status, seconds)))
            if len(self._lines) >= _FLUSH_AT:
                self.flush()

    def flush(self) -> None:
        """Write what waits; what cannot be written now is kept for a while, and requests go on."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        waiting = pieces(lines)
        for piece in waiting:
            rest = _unwritten(piece)
            if rest:
                self._keep([rest, *waiting])
                return
        if self._lost:
            lost, self._lost = self._lost, 0
            self.line("warning", "log lines were lost", lost=lost)

    def _keep(self, unwritten: list[bytes]) -> None:
        """Keep what could not be written: the newest of it where it is much."""
        lost = unwritten[:-_MOST_KEPT]
        self._lost += sum(piece.count(b"\n") for piece in lost)
        self._lines = [piece.removesuffix(b"\n") for piece in unwritten[-_MOST_KEPT:]]


def never_wait() -> None:
    """Let a pipe that nobody reads take no more instead of keeping this process waiting."""
    with contextlib.suppress(OSError, ValueError):
        if stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
            os.set_blocking(sys.stdout.fileno(), False)


def _unwritten(piece: bytes) -> bytes:
    """Write; answers what did not go: of a full disk or a pipe that is full or closed."""
    out = sys.stdout.buffer
    try:
        written: int | None = getattr(out, "raw", out).write(piece)
    except OSError:
        return piece
    return piece[written or 0 :]


def pieces(lines: Sequence[bytes]) -> Iterator[bytes]:
    """Whole lines, as many at a time as go into a pipe whole."""
    first, size = 0, 0
    for place, line in enumerate(lines):
        if size and size + len(line) + 1 > PIECE_BYTES:
            yield b"\n".join(lines[first:place]) + b"\n"
            first, size = place, 0
        size += len(line) + 1
    yield b"\n".join(lines[first:]) + b"\n"


class Counter:
    """A Prometheus counter; `values` maps label values to the count. What is counted often has a tally of its own."""

    def __init__(self, name: str, text: str, labels: Labels = ()) -> None:
        self.name, self.text, self.labels = name, text, labels
        self.values: defaultdict[Labels, float] = defaultdict(float)
        self._tallies: dict[Labels, Tally] = {}
        if not labels:
            self.values[()] = 0.0  # it can be said at once, and what grows from 0 shows the first one too

    def tally(self, key: Labels) -> Tally:
        """The count under these labels, to be kept by who counts often."""
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally()
        return tally

    def lines(self) -> list[str]:
        """The exposition lines."""
        head = [f"# HELP {self.name} {self.text}", f"# TYPE {self.name} {self.kind}"]
        counts = dict(self.values)
        for key, tally in self._tallies.items():
            counts[key] = counts.get(key, 0.0) + tally.count
        return head + [f"{self.name}{_labels(self.labels, key)} {value:.15g}" for key, value in sorted(counts.items())]

    kind = "counter"


class Gauge(Counter):
    """A Prometheus gauge."""

    kind = "gauge"


class Histogram:
    """A Prometheus histogram of seconds."""

    def __init__(self, name: str, text: str, labels: Labels = ()) -> None:
        self.name, self.text, self.labels = name, text, labels
        self._series: defaultdict[Labels, Series] = defaultdict(Series)

    def series(self, key: Labels) -> Series:
        """The observations under these labels, to be kept by who makes many."""
        return self._series[key]

    def observe(self, key: Labels, seconds: float) -> None:
        """Note one observation."""
        self._series[key].observe(seconds)

    def lines(self) -> list[str]:
        """The exposition lines."""
        out = [f"# HELP {self.name} {self.text}", f"# TYPE {self.name} histogram"]
        for key, series in sorted(self._series.items()):
            total = 0
            for bound, count in zip((*LATENCY_BUCKETS_S, float("inf")), series.counts, strict=True):
                total += count
                edge = "+Inf" if bound == float("inf") else f"{bound:g}"
                out.append(f"{self.name}_bucket{_labels((*self.labels, 'le'), (*key, edge))} {total}")
            out.append(f"{self.name}_sum{_labels(self.labels, key)} {series.total:.15g}")
            out.append(f"{self.name}_count{_labels(self.labels, key)} {total}")
        return out


class Metrics:
    """All that the gateway counts."""

    def __init__(self) -> None:
        by = ("endpoint", "status")
        self.requests = Counter("ias_gateway_requests_total", "Requests answered, by endpoint and HTTP status.", by)
        self.outcomes = Counter("ias_gateway_outcomes_total", "Admitted requests, by how they ended.", ("outcome",))
        self.tokens = Counter("ias_gateway_tokens_total", "Tokens settled, by model and type.", ("model", "type"))
        self.duration = Histogram(conventions.REQUEST_DURATION, "From head to last byte.", ("model",))
        self.first_token = Histogram(
            conventions.TIME_TO_FIRST_TOKEN, "Of streams: from head to first byte.", ("model",)
        )
        self.token_time = Histogram(
            conventions.TIME_PER_OUTPUT_TOKEN, "Of streams: between two tokens after the first.", ("model",)
        )
        self.open = Gauge("ias_gateway_open_requests", "Admitted requests under way.")
        self.most = Gauge("ias_gateway_open_requests_limit", "Requests under way at which more are turned away.")
        self.refused = Counter("ias_gateway_refusals_total", "Requests refused with an error, by its code.", ("code",))
        self.unsettled = Gauge("ias_gateway_unsettled", "Settlements that Redis has not confirmed.")
        self.kept = Gauge("ias_gateway_kept_settlements", "Settlements kept until the ledger has them.")
        self.at_risk = Gauge("ias_gateway_tokens_at_risk", "What estimated prompts hold too little, at most.")
        self.overshot = Counter("ias_gateway_overshot_tokens_total", "Tokens settled beyond what was held for them.")
        self.counted = Counter(
            "ias_gateway_prompts_counted_total", "Prompts counted near a budget's end, by result.", ("result",)
        )
        self.reasserted = Counter("ias_gateway_reasserted_total", "Requests under way put back that Redis had lost.")
        self.spooled = Gauge("ias_gateway_spooled", "Settlements in the spool file that Redis has not confirmed.")
        self.spool_failures = Counter("ias_gateway_spool_failures_total", "Failures to write the spool file.")
        self.spool_torn = Counter("ias_gateway_spool_torn_total", "Spool files that ended in half a record.")
        self.shed = Counter("ias_gateway_shed_total", "Requests turned away at once, by reason.", ("reason",))
        self.redis_up = Gauge("ias_gateway_redis_up", "1 while Redis answers.")
        self.shard_up = Gauge("ias_gateway_shard_up", "1 while the shard of a Redis Cluster answers.", ("shard",))
        self._of_replicas()
        self._of_the_process()

    def _of_replicas(self) -> None:
        replica = ("replica",)
        self.replica_up = Gauge("ias_gateway_replica_up", "1 while the replica says that it is healthy.", replica)
        self.replica_outstanding = Gauge("ias_gateway_replica_outstanding", "Requests under way on it.", replica)
        self.replica_ejections = Counter(
            "ias_gateway_replica_ejections_total", "How often it rested after failures in a row.", replica
        )

    def _of_the_process(self) -> None:
        self.tasks = Gauge("ias_gateway_tasks", "Tasks of the event loop.")
        self.loop_lag = Gauge("ias_gateway_loop_lag_seconds", "How late the last tick was.")
        self.spans = Counter("ias_gateway_spans_total", "Spans, by whether the collector has them.", ("result",))
        self.build = Gauge("ias_build_info", "1; which release runs.", ("version",))
        self.began = Gauge("process_start_time_seconds", "When the process began, since the epoch.")
        self.cpu = Counter("process_cpu_seconds_total", "Time of processors, user's and system's.")
        self.memory = Gauge("process_resident_memory_bytes", "Resident memory.")
        self.files = Gauge("process_open_fds", "Open file descriptors.")
        self.most_files = Gauge("process_max_fds", "Most file descriptors that may be open.")

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        families = [family for family in vars(self).values() if isinstance(family, (Counter, Histogram))]
        return ("\n".join(line for family in families for line in family.lines()) + "\n").encode()


def _labels(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for value in values)
    return "{" + ",".join(f'{name}="{value}"' for name, value in zip(names, escaped, strict=True)) + "}"

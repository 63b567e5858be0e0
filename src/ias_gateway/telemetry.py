"""What the gateway counts of itself: metrics that cost a dictionary look-up each."""

from collections import defaultdict

from ias.contract import conventions
from ias_gateway.series import LATENCY_BUCKETS_S, Series, Tally

Labels = tuple[str, ...]


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
        text = "Requests sent to their engine while Redis was asked."
        self.early = Counter("ias_gateway_early_total", text, ("outcome",))
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

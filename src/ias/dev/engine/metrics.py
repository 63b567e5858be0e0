"""`/metrics`, with vLLM's names, labels and buckets."""

from bisect import bisect_left
from collections.abc import Iterable

CONTENT_TYPE = b"text/plain; version=1.0.0; charset=utf-8"
FINISHED = ("stop", "length", "abort", "error", "repetition")
BUCKETS_S = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
    *(160.0, 640.0, 2560.0),
)


class Metrics:
    """The engine's counters. Of a request with several choices each counts as one, prompt included, as in vLLM.

    Attributes:
        running: requests that have their first token.
        waiting: requests that wait for it.
        blocks: blocks of the prefix cache that running requests hold.
        cached: prompt tokens found in the prefix cache.
    """

    def __init__(self) -> None:
        self.running = 0
        self.waiting = 0
        self.blocks = 0
        self.prompt_tokens = 0
        self.generation_tokens = 0
        self.cached = 0
        self.success = dict.fromkeys(FINISHED, 0)
        self._first = [0] * (len(BUCKETS_S) + 1)
        self._first_sum = 0.0

    @property
    def load(self) -> int:
        """Requests under way: vLLM's `server_load`."""
        return self.running + self.waiting

    def first_token(self, seconds: float) -> None:
        """Note the time to a first token."""
        self._first[bisect_left(BUCKETS_S, seconds)] += 1
        self._first_sum += seconds

    def exposition(self, model: str, cache: tuple[int, int, int]) -> bytes:
        """What Prometheus scrapes; `cache` is tokens looked for, tokens found, and blocks that there are."""
        label = f'engine="0",model_name="{model}"'
        lines: list[str] = []
        for kind, name, text, value in self._plain(cache):
            suffix = "_total" if kind == "counter" else ""
            lines += [f"# HELP {name}{suffix} {text}", f"# TYPE {name}{suffix} {kind}"]
            lines.append(f"{name}{suffix}{{{label}}} {float(value)}")
        lines += _headed("vllm:request_success_total", "Count of successfully processed requests.", "counter")
        for reason, number in self.success.items():
            labels = f'engine="0",finished_reason="{reason}",model_name="{model}"'
            lines.append(f"vllm:request_success_total{{{labels}}} {float(number)}")
        return "\n".join((*lines, *self._histogram(model), "")).encode()

    def _plain(self, cache: tuple[int, int, int]) -> Iterable[tuple[str, str, str, float]]:
        looked, found, blocks = cache
        yield "gauge", "vllm:num_requests_running", "Number of requests in model execution batches.", self.running
        yield "gauge", "vllm:num_requests_waiting", "Number of requests waiting to be processed.", self.waiting
        yield "gauge", "vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", self.blocks / blocks
        text = "Prefix cache queries, in terms of number of queried tokens."
        yield "counter", "vllm:prefix_cache_queries", text, looked
        yield "counter", "vllm:prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens.", found
        yield "counter", "vllm:num_preemptions", "Cumulative number of preemption from the engine.", 0
        yield "counter", "vllm:prompt_tokens", "Number of prefill tokens processed.", self.prompt_tokens
        text = "Number of cached prompt tokens (local + external)."
        yield "counter", "vllm:prompt_tokens_cached", text, self.cached
        yield "counter", "vllm:generation_tokens", "Number of generation tokens processed.", self.generation_tokens

    def _histogram(self, model: str) -> list[str]:
        name, total = "vllm:time_to_first_token_seconds", 0
        lines = _headed(name, "Histogram of time to first token in seconds.", "histogram")
        for bound, number in zip((*BUCKETS_S, "+Inf"), self._first, strict=True):
            total += number
            lines.append(f'{name}_bucket{{engine="0",le="{bound}",model_name="{model}"}} {float(total)}')
        label = f'engine="0",model_name="{model}"'
        return [*lines, f"{name}_count{{{label}}} {float(total)}", f"{name}_sum{{{label}}} {self._first_sum}"]


def _headed(name: str, text: str, kind: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]

"""`/metrics` with vLLM's names."""

from bisect import bisect_left
from collections import Counter

_TTFT_BUCKETS_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


class Metrics:
    """The engine's counters."""

    def __init__(self) -> None:
        self.running = 0
        self.prompt_tokens: Counter[str] = Counter()
        self.generation_tokens: Counter[str] = Counter()
        self.success: Counter[tuple[str, str]] = Counter()
        self._first = [0] * (len(_TTFT_BUCKETS_S) + 1)
        self._first_sum = 0.0

    def first_token(self, seconds: float) -> None:
        """Note the time to a first token."""
        self._first[bisect_left(_TTFT_BUCKETS_S, seconds)] += 1
        self._first_sum += seconds

    def exposition(self, models: tuple[str, ...], cache: tuple[int, int]) -> bytes:
        """What Prometheus scrapes; `cache` is queried and hit tokens."""
        lines: list[str] = []
        for model in models:
            label = f'{{model_name="{model}"}}'
            lines += [
                f"vllm:num_requests_running{label} {self.running}",
                f"vllm:num_requests_waiting{label} 0",
                f"vllm:kv_cache_usage_perc{label} 0",
                f"vllm:prompt_tokens_total{label} {self.prompt_tokens[model]}",
                f"vllm:generation_tokens_total{label} {self.generation_tokens[model]}",
                f"vllm:prefix_cache_queries_total{label} {cache[0]}",
                f"vllm:prefix_cache_hits_total{label} {cache[1]}",
            ]
            lines += self._histogram(model)
        for (model, reason), number in sorted(self.success.items()):
            lines.append(f'vllm:request_success_total{{finished_reason="{reason}",model_name="{model}"}} {number}')
        return "\n".join((*lines, "")).encode()

    def _histogram(self, model: str) -> list[str]:
        name, total, lines = "vllm:time_to_first_token_seconds", 0, []
        for bound, number in zip((*_TTFT_BUCKETS_S, "+Inf"), self._first, strict=True):
            total += number
            lines.append(f'{name}_bucket{{le="{bound}",model_name="{model}"}} {total}')
        return [
            *lines,
            f'{name}_sum{{model_name="{model}"}} {self._first_sum:g}',
            f'{name}_count{{model_name="{model}"}} {total}',
        ]

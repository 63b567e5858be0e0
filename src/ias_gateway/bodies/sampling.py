"""What chat and text completions share: how to sample, and what a stream tells of its usage.

Not compiled: mypyc keeps no annotations that msgspec could read.
"""

from ias_gateway.bodies.shape import Strict
from ias_gateway.bodies.strict import JSON, Token, Whole


class StreamOptions(Strict):
    """What of the usage a stream tells."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None
    include_obfuscation: bool | None = None


class Sampling(Strict, kw_only=True):
    """Fields that chat and text completions share, and that requests have; the last lines are vLLM's own."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Whole | None = None
    n: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    seed: Whole | None = None
    stop: str | list[str] | None = None
    user: str | None = None
    top_k: Whole | None = None
    ignore_eos: bool | None = None


class Rare(Sampling, kw_only=True):
    """Those too that few requests have; all but the first are vLLM's own."""

    logit_bias: dict[str, float] | None = None
    min_p: float | None = None
    min_tokens: Whole | None = None
    repetition_penalty: float | None = None
    length_penalty: float | None = None
    stop_token_ids: list[Token] | None = None
    include_stop_str_in_output: bool | None = None
    skip_special_tokens: bool | None = None
    spaces_between_special_tokens: bool | None = None
    structured_outputs: dict[str, JSON] | None = None
    bad_words: list[str] | None = None
    allowed_token_ids: list[Token] | None = None
    return_token_ids: bool | None = None
    return_tokens_as_token_ids: bool | None = None
    truncate_prompt_tokens: Whole | None = None


RUNNING = StreamOptions(include_usage=True, continuous_usage_stats=True)
"""What an engine is asked for on a stream, whatever its client asked for."""

"""What chat and text completions share: how to sample, and what a stream tells of its usage."""

from ias_gateway.bodies.shape import Strict
from ias_gateway.bodies.strict import JSON, BadBody, Token, Whole, within

MAX_N = 128
MAX_OUTPUT = 2**31 - 1
"""More than any engine's context; the Function library counts in doubles, and estimates must stay exact."""


class StreamOptions(Strict):
    """What of the usage a stream tells."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None
    include_obfuscation: bool | None = None


class Sampling(Strict, kw_only=True):
    """Fields that chat and text completions share; the last lines are vLLM's own."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: Whole | None = None
    n: Whole | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    seed: Whole | None = None
    stop: str | list[str] | None = None
    user: str | None = None
    top_k: Whole | None = None
    min_p: float | None = None
    min_tokens: Whole | None = None
    repetition_penalty: float | None = None
    length_penalty: float | None = None
    stop_token_ids: list[Token] | None = None
    include_stop_str_in_output: bool | None = None
    ignore_eos: bool | None = None
    skip_special_tokens: bool | None = None
    spaces_between_special_tokens: bool | None = None
    structured_outputs: dict[str, JSON] | None = None
    bad_words: list[str] | None = None
    allowed_token_ids: list[Token] | None = None
    return_token_ids: bool | None = None
    return_tokens_as_token_ids: bool | None = None
    truncate_prompt_tokens: Whole | None = None

    def check(self) -> None:
        """Refuse what is out of range.

        Raises:
            BadBody: it names the field.
        """
        if self.max_tokens is not None:
            within("max_tokens", self.max_tokens, MAX_OUTPUT)
        if self.n is not None:
            within("n", self.n, MAX_N)
        if self.stream_options is not None and not self.stream:
            raise BadBody("stream_options: only allowed when stream is true.", "stream_options")

    def wants_usage(self) -> tuple[bool, bool]:
        """Whether the client of a stream asked for usage at its end, and for running usage."""
        options = self.stream_options
        if options is None or not options.include_usage:
            return False, False
        return True, bool(options.continuous_usage_stats)

    def meter(self) -> None:
        """Ask the engine for running usage on a stream, whatever the client asked for."""
        self.stream_options = _RUNNING if self.stream else None


_RUNNING = StreamOptions(include_usage=True, continuous_usage_stats=True)

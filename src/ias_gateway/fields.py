"""What callers may send: OpenAI's documented request fields and vLLM's harmless ones, as types without I/O."""

from typing import Literal

import msgspec

JSON = object
"""Any JSON value (msgspec reads `object` so)."""


Prompts = str | list[str | int | list[int]]
"""One prompt as text or as tokens, or a list of prompts of one kind."""


class Strict(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Base of what callers send: an unknown field is an error, an absent one is not sent on."""


class StreamOptions(Strict):
    """What of the usage a stream tells."""

    include_usage: bool | None = None
    continuous_usage_stats: bool | None = None
    include_obfuscation: bool | None = None


class FunctionCall(Strict):
    """A call that the model made."""

    name: str
    arguments: str


class ToolCall(Strict):
    """A tool call of an assistant message."""

    id: str
    type: str
    function: FunctionCall | None = None
    custom: dict[str, JSON] | None = None


class Part(Strict):
    """One part of a message's content."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: dict[str, JSON] | None = None
    input_audio: dict[str, JSON] | None = None
    file: dict[str, JSON] | None = None


class Message(Strict):
    """One message of a chat."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[Part] | None = None
    name: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    function_call: FunctionCall | None = None
    audio: dict[str, JSON] | None = None


class Sampling(Strict, kw_only=True):
    """Fields that chat and text completions share; the last lines are vLLM's own."""

    model: str
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    n: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    user: str | None = None
    top_k: int | None = None
    min_p: float | None = None
    min_tokens: int | None = None
    repetition_penalty: float | None = None
    length_penalty: float | None = None
    stop_token_ids: list[int] | None = None
    include_stop_str_in_output: bool | None = None
    ignore_eos: bool | None = None
    skip_special_tokens: bool | None = None
    spaces_between_special_tokens: bool | None = None
    structured_outputs: dict[str, JSON] | None = None


class ChatBody(Sampling, kw_only=True):
    """`POST /v1/chat/completions`."""

    messages: list[Message]
    max_completion_tokens: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    tools: list[dict[str, JSON]] | None = None
    tool_choice: str | dict[str, JSON] | None = None
    parallel_tool_calls: bool | None = None
    functions: list[dict[str, JSON]] | None = None
    function_call: str | dict[str, JSON] | None = None
    response_format: dict[str, JSON] | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: dict[str, JSON] | None = None
    modalities: list[str] | None = None
    audio: dict[str, JSON] | None = None
    prediction: dict[str, JSON] | None = None
    store: bool | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_retention: str | None = None
    prompt_cache_options: dict[str, JSON] | None = None
    moderation: dict[str, JSON] | None = None
    verbosity: str | None = None
    web_search_options: dict[str, JSON] | None = None


class TextBody(Sampling, kw_only=True):
    """`POST /v1/completions`."""

    prompt: Prompts
    best_of: int | None = None
    echo: bool | None = None
    logprobs: int | None = None
    suffix: str | None = None
    response_format: dict[str, JSON] | None = None


class EmbeddingsBody(Strict, kw_only=True):
    """`POST /v1/embeddings`."""

    model: str
    input: Prompts
    dimensions: int | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None
    truncate_prompt_tokens: int | None = None


Body = ChatBody | TextBody | EmbeddingsBody

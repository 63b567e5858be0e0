"""The fields of a chat: OpenAI's documented ones and vLLM's harmless ones.

Each field makes a request dearer to decode, to encode and to let go of, though it be absent: so the few that requests
have are tried first. Not compiled: mypyc keeps no annotations that msgspec could read.
"""

import msgspec

from ias_gateway.bodies.messages import Message
from ias_gateway.bodies.sampling import Rare, Sampling
from ias_gateway.bodies.strict import JSON, Whole

UNUSED = (
    *("store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"),
    *("prompt_cache_options", "moderation", "modalities", "audio", "prediction", "verbosity", "web_search_options"),
    *("functions", "function_call"),
)
"""Fields of OpenAI's chat request that vLLM has no use for: accepted, and left out of what travels."""


class Usual(Sampling, kw_only=True):
    """What is in nearly every request."""

    messages: list[Message]
    max_completion_tokens: Whole | None = None
    tools: list[dict[str, JSON]] | None = None
    tool_choice: str | dict[str, JSON] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, JSON] | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: dict[str, JSON] | None = None


class Chat(Rare, kw_only=True):
    """All that a caller may send: the usual, what few send, and at the end what vLLM has no use for."""

    # These are Usual's, and a test holds them to be: a Struct cannot have two bases that have fields.
    messages: list[Message]
    max_completion_tokens: Whole | None = None
    tools: list[dict[str, JSON]] | None = None
    tool_choice: str | dict[str, JSON] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, JSON] | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: dict[str, JSON] | None = None

    logprobs: bool | None = None
    top_logprobs: Whole | None = None
    include_reasoning: bool | None = None
    thinking_token_budget: Whole | None = None
    documents: list[dict[str, str]] | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    add_special_tokens: bool | None = None

    functions: list[dict[str, JSON]] | None = None
    function_call: str | dict[str, JSON] | None = None
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


decode_usual = msgspec.json.Decoder(Usual).decode
decoder = msgspec.json.Decoder(Chat)

"""`POST /v1/chat/completions`: OpenAI's documented fields and vLLM's harmless ones."""

import msgspec

from ias.contract.admission import NOT_ASKED, Ask
from ias_gateway.bodies import conversation
from ias_gateway.bodies.messages import Message
from ias_gateway.bodies.prompts import beginning
from ias_gateway.bodies.sampling import MAX_OUTPUT, Sampling
from ias_gateway.bodies.strict import JSON, Whole, check_depth, check_template, decode, encode, printed, salted, within

UNUSED = (
    *("store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention"),
    *("prompt_cache_options", "moderation", "modalities", "audio", "prediction", "verbosity", "web_search_options"),
    *("functions", "function_call"),
)
"""Fields of OpenAI's chat request that vLLM has no use for: accepted, and left out of what travels."""

OPENING = 4
"""Messages at most that say which conversation it is."""


class Plain(Sampling, kw_only=True):
    """What a caller may send that an engine has a use for: all that is in nearly every request.

    Each field more makes it dearer to decode, to encode and to let go of, though it be absent.
    """

    messages: list[Message]
    max_completion_tokens: Whole | None = None
    logprobs: bool | None = None
    top_logprobs: Whole | None = None
    tools: list[dict[str, JSON]] | None = None
    tool_choice: str | dict[str, JSON] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, JSON] | None = None
    reasoning_effort: str | None = None
    include_reasoning: bool | None = None
    thinking_token_budget: Whole | None = None
    chat_template_kwargs: dict[str, JSON] | None = None
    documents: list[dict[str, str]] | None = None
    add_generation_prompt: bool | None = None
    continue_final_message: bool | None = None
    add_special_tokens: bool | None = None

    def ask(self, endpoint: str) -> Ask:
        """What the request wants to hold: a strict upper bound of its prompt, and its output limit."""
        limit = self.max_completion_tokens or self.max_tokens or NOT_ASKED
        bound, images = conversation.measured(self.messages)
        # A template may print what it is given.
        if self.tools or self.chat_template_kwargs or self.response_format or self.documents:
            bound += printed((self.tools, self.chat_template_kwargs, self.response_format, self.documents))
        return Ask(self.model, bound, self.n or 1, limit, endpoint, bool(self.stream), images)

    def rebuild(self, name: str, output: int, salt: str | None) -> bytes:
        """The body for the engine: its name of the model, the output limit granted, running usage on streams."""
        self.model = name
        self.max_tokens, self.max_completion_tokens = None, output
        self.user = None
        self.meter()
        return salted(encode(self), salt)

    def beginning(self) -> bytes:
        """How the conversation begins, up to what its user says first: all of its turns share a prefix cache."""
        begun = b""
        for message in self.messages[:OPENING]:
            content = message.content
            begun += beginning(content if isinstance(content, str) else [part.text for part in content or ()])
            if message.role == "user":
                break
        return begun


class Chat(Plain, kw_only=True):
    """All that a caller may send: also what vLLM has no use for."""

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


_decoder = msgspec.json.Decoder(Plain)
_decoder_of_all = msgspec.json.Decoder(Chat)


def read(raw: bytes) -> Plain:
    """The body of a request.

    Raises:
        BadBody: it is not JSON, or a field is unknown, missing, of the wrong type or out of range.
    """
    try:
        body = _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        body = _read_all(raw)
    body.check()
    if body.max_completion_tokens is not None:
        within("max_completion_tokens", body.max_completion_tokens, MAX_OUTPUT)
    conversation.check(body.messages)
    if body.tools or body.chat_template_kwargs or body.response_format or body.structured_outputs or body.tool_choice:
        kwargs = body.chat_template_kwargs
        check_template(kwargs)
        check_depth(body.tools, kwargs, body.response_format, body.structured_outputs, body.tool_choice)
    return body


def _read_all(raw: bytes) -> Plain:
    """A body that has more in it than travels, which is dropped here; or that is refused."""
    body = decode(_decoder_of_all, raw)
    for name in UNUSED:
        setattr(body, name, None)
    return body

"""`POST /v1/responses`, stateless: nothing is stored, so that a request brings all that it refers to."""

import msgspec

from ias.contract.admission import NOT_ASKED, Ask
from ias_gateway.bodies import prompts
from ias_gateway.bodies.items import Item, check, images, urls
from ias_gateway.bodies.messages import OVERHEAD
from ias_gateway.bodies.metered import MAX_OUTPUT
from ias_gateway.bodies.shape import Strict
from ias_gateway.bodies.strict import (
    JSON,
    BadBody,
    Token,
    Whole,
    check_depth,
    check_template,
    decode,
    encode,
    printed,
    salted,
    within,
)

UNUSED = (
    *("access_programs", "context_management", "image", "moderation", "prompt_cache_key", "prompt_cache_options"),
    *("prompt_cache_retention", "safety_identifier", "service_tier", "store", "stream_options", "user"),
)
"""Fields of OpenAI's request that vLLM has no use for: accepted, and left out of what travels."""
STATEFUL = {
    "previous_response_id": "responses are not stored here; send the earlier items in `input`",
    "conversation": "conversations are not stored here; send the earlier items in `input`",
    "background": "responses are not stored here, so none can be fetched later; leave it out and use `stream`",
    "prompt": "prompt templates are not stored here; send their text as `instructions` and `input`",
}
"""Fields that need a store, and what to do instead."""
INCLUDABLE = frozenset(("message.output_text.logprobs", "message.input_image.image_url", "reasoning.encrypted_content"))
"""What of `include` an engine can do; the rest is of tools that are not served."""
TOOLS = frozenset(("function", "custom", "namespace"))


class Responses(Strict, kw_only=True):
    """What a caller may send; the last lines are vLLM's own."""

    model: str
    input: str | list[Item] | None = None
    instructions: str | None = None
    stream: bool | None = None
    store: bool | None = None
    include: list[str] | None = None
    max_output_tokens: Whole | None = None
    max_tool_calls: Whole | None = None
    metadata: dict[str, str] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: dict[str, JSON] | None = None
    temperature: float | None = None
    text: dict[str, JSON] | None = None
    tool_choice: str | dict[str, JSON] | None = None
    tools: list[dict[str, JSON]] | None = None
    top_logprobs: Whole | None = None
    top_p: float | None = None
    truncation: str | None = None
    previous_response_id: str | None = None
    conversation: JSON = None
    background: bool | None = None
    prompt: JSON = None
    access_programs: JSON = None
    context_management: JSON = None
    image: JSON = None
    moderation: JSON = None
    prompt_cache_key: str | None = None
    prompt_cache_options: JSON = None
    prompt_cache_retention: str | None = None
    safety_identifier: str | None = None
    service_tier: str | None = None
    stream_options: JSON = None
    user: str | None = None
    top_k: Whole | None = None
    min_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    repetition_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    seed: Whole | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[Token] | None = None
    ignore_eos: bool | None = None
    skip_special_tokens: bool | None = None
    include_stop_str_in_output: bool | None = None
    include_reasoning: bool | None = None
    structured_outputs: dict[str, JSON] | None = None
    chat_template_kwargs: dict[str, JSON] | None = None

    def ask(self, endpoint: str) -> Ask:
        """What the request wants to hold: a strict upper bound of its prompt, and its output limit."""
        output = self.max_output_tokens or NOT_ASKED
        given = self.input or ""
        count = images(given) if isinstance(given, list) else 0
        return Ask(self.model, self._bound(), 1, output, endpoint, bool(self.stream), count)

    def rebuild(self, name: str, output: int, salt: str | None) -> bytes:
        """The body for the engine: its name of the model, the output limit granted, nothing stored."""
        self.model = name
        self.max_output_tokens = output
        for unused in UNUSED:
            setattr(self, unused, None)
        self.background = None
        self.store = False
        self.include = [one for one in self.include or () if one in INCLUDABLE] or None
        return salted(encode(self), salt)

    def wants_usage(self) -> tuple[bool, bool]:
        """The last event of a stream always tells the usage."""
        return True, False

    def beginning(self) -> bytes:
        """How the prompt begins: requests that share it share a prefix cache."""
        first = self.input[:1] if isinstance(self.input, list) else self.input
        return prompts.beginning(self.instructions or "") + prompts.beginning(first)

    def _bound(self) -> int:
        bound = 2 * OVERHEAD + prompts.size(self.instructions or "")
        if isinstance(self.input, str):
            bound += prompts.size(self.input)
        elif self.input:
            # Escapes only make JSON longer than its texts. An image is held as such, not as its address.
            bound += printed(self.input) + OVERHEAD * len(self.input) - urls(self.input)
        if self.tools or self.text or self.chat_template_kwargs:
            bound += printed((self.tools, self.text, self.chat_template_kwargs))
        return bound


_decoder = msgspec.json.Decoder(Responses)


def read(raw: bytes) -> Responses:
    """The body of a request.

    Raises:
        BadBody: it is not JSON, a field is unknown, of the wrong type or out of range, or it needs what was stored.
    """
    body = decode(_decoder, raw)
    for name, instead in STATEFUL.items():
        # `false` and null are what clients send who want no such thing.
        value = getattr(body, name)
        if value is not None and value is not False:
            raise BadBody(f"{name}: {instead}.", name)
    within("max_output_tokens", body.max_output_tokens, MAX_OUTPUT)
    if not body.input:
        raise BadBody("input: give a text, or at least one item.", "input")
    if isinstance(body.input, list):
        check(body.input)
    _check_tools(body.tools or [])
    check_template(body.chat_template_kwargs)
    free = (body.tools, body.text, body.reasoning, body.tool_choice, body.structured_outputs, body.chat_template_kwargs)
    check_depth(*free)
    return body


def _check_tools(tools: list[dict[str, JSON]]) -> None:
    for number, tool in enumerate(tools):
        kind = tool.get("type")
        if not isinstance(kind, str) or kind not in TOOLS:
            place = f"tools[{number}].type"
            instead = "Run the tool yourself and give its result as a `function_call_output`"
            raise BadBody(f"{place}: only functions are served, not this. {instead}.", place)

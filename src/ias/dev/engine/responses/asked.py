"""`POST /v1/responses` as it is asked for, turned into the chat that it is."""

import msgspec

from ias.dev.engine.parts import Part
from ias.dev.engine.refusals import Refused, bad_field
from ias.dev.engine.requests import Called, Chat, Message, ToolCall

_LOGPROBS = "message.output_text.logprobs"
_NO_BACKGROUND = (
    "This vLLM engine does not support `store=True` and therefore does not support the background mode. To enable "
    "these features, set the environment variable `VLLM_ENABLE_RESPONSES_API_STORE=1` when launching the vLLM server."
)
_NOT_AMONG = "Tool choice 'function' not found in 'tools' parameter."

Json = dict[str, object]


class Item(msgspec.Struct, kw_only=True):
    """An item of the input: a message, a call, what came of a call, or reasoning."""

    type: str | None = None
    role: str | None = None
    content: str | list[Part | str] | None = None
    name: str = ""
    arguments: str = ""
    output: str | list[Part | str] | None = None
    encrypted_content: str | None = None


class Asked(msgspec.Struct, kw_only=True):
    """The body."""

    input: str | list[Item]
    model: str | None = None
    background: bool | None = False
    cache_salt: str | None = None
    frequency_penalty: float | None = None
    ignore_eos: bool = False
    include: list[str] | None = None
    include_reasoning: bool = True
    include_stop_str_in_output: bool = False
    instructions: str | None = None
    max_output_tokens: int | None = None
    max_tool_calls: int | None = None
    metadata: Json | None = None
    parallel_tool_calls: bool | None = True
    presence_penalty: float | None = None
    previous_response_id: str | None = None
    prompt: object = None
    reasoning: Json | None = None
    request_id: str | None = None
    service_tier: str = "auto"
    stop: str | list[str] | None = None
    store: bool | None = True
    stream: bool | None = False
    temperature: float | None = None
    text: Json | None = None
    tool_choice: str | Json = "auto"
    tools: list[Json] = []
    top_logprobs: int | None = 0
    top_p: float | None = None
    truncation: str | None = "disabled"
    user: str | None = None

    @property
    def top(self) -> int | None:
        """How many log probabilities each token has besides its own, if any are wanted."""
        return (self.top_logprobs or 0) if _LOGPROBS in (self.include or ()) else None

    @property
    def choice(self) -> str | Json:
        """Which tool to call: none, where there are none."""
        return self.tool_choice if self.tools else "none"

    def checked(self) -> None:
        """What vLLM checks before it looks at the model.

        Raises:
            Refused: with its words.
        """
        if self.cache_salt == "":
            raise bad_field("cache_salt", "Parameter 'cache_salt' must be a non-empty string if provided.")
        if self.background and not self.store:
            raise bad_field("background", "background can only be used when `store` is true")
        if self.prompt is not None:
            raise bad_field("prompt", "prompt template is not supported")
        if not self.tools and self.tool_choice == "required":
            raise bad_field("tool_choice", "Tool choice 'required' must be specified with 'tools' parameter.")
        named = self.tool_choice.get("name") if isinstance(self.tool_choice, dict) else None
        if isinstance(self.tool_choice, dict) and named not in {tool.get("name") for tool in self.tools}:
            raise bad_field("tool_choice", _NOT_AMONG)

    def stored(self) -> None:
        """What vLLM checks afterwards: it was started without a store, so there is nothing to go on from.

        Raises:
            Refused: with its words.
        """
        if self.background:
            raise Refused(400, _NO_BACKGROUND, "invalid_request_error", "background")
        if self.previous_response_id is not None:
            raise not_found(self.previous_response_id)

    def chat(self) -> Chat:
        """The chat that it is.

        Raises:
            Refused: it holds an item that vLLM does not take.
        """
        effort = (self.reasoning or {}).get("effort")
        return Chat(
            messages=self._messages(),
            model=self.model,
            stream=self.stream,
            stop=self.stop,
            include_stop_str_in_output=self.include_stop_str_in_output,
            ignore_eos=self.ignore_eos,
            response_format=self._format(),
            cache_salt=self.cache_salt,
            tools=msgspec.Raw(msgspec.json.encode(self._tools())) if self._tools() else msgspec.Raw(),
            tool_choice=_chat_choice(self.choice),
            logprobs=self.top is not None,
            top_logprobs=self.top,
            parallel_tool_calls=self.parallel_tool_calls,
            reasoning_effort=effort if isinstance(effort, str) else None,
            include_reasoning=self.include_reasoning,
        )

    def _messages(self) -> list[Message]:
        first = [Message("system", self.instructions)] if self.instructions else []
        if isinstance(self.input, str):
            return [*first, Message("user", self.input)]
        return [*first, *map(_message, self.input)]

    def _format(self) -> Json | None:
        wanted = (self.text or {}).get("format")
        return {**wanted, "json_schema": wanted} if isinstance(wanted, dict) else None

    def _tools(self) -> list[Json]:
        """The functions, as a chat has them; what else there is a model never hears of."""
        return [
            {"type": "function", "function": {name: value for name, value in tool.items() if name != "type"}}
            for tool in self.tools
            if tool.get("type") == "function"
        ]


def not_found(identity: str) -> Refused:
    """No response of this id is kept."""
    return Refused(404, f"Response with id '{identity}' not found.", "invalid_request_error", "response_id")


def _chat_choice(choice: str | Json) -> str | Json:
    return choice if isinstance(choice, str) else {"type": "function", "function": {"name": choice.get("name")}}


def _message(item: Item) -> Message:
    match item.type:
        case "function_call" | "custom_tool_call":
            return Message("assistant", None, [ToolCall(Called(item.name, item.arguments))])
        case "function_call_output" | "custom_tool_call_output":
            return Message("tool", item.output)
        case "reasoning" if item.encrypted_content:
            raise bad_field("input", "Encrypted content is not supported.")
        case "reasoning":
            return Message("assistant", item.content)
        case _ if item.role is not None:
            return Message(item.role, item.content)
        case _:
            raise bad_field("input", f"Unsupported input item type: {item.type}")

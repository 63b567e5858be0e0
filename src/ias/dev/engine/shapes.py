"""The bytes that vLLM 0.32 sends for a completion: events of a stream, and whole bodies."""

import msgspec

FINGERPRINT = "vllm-0.32.0-mock"
DONE = b"data: [DONE]\n\n"
BROKE = (
    b'data: {"error": {"message": "Internal server error", "type": "InternalServerError", "param": null, '
    b'"code": 500}}\n\n'
)
NULL = b"null"

_encode = msgspec.json.Encoder().encode
_MARK = b'"system_fingerprint":"%b"' % FINGERPRINT.encode()
_ROLE = (
    b'%b{"index":%d,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]%b,'
    b'"prompt_token_ids":null,"prompt_text":null}\n\n'
)
_CHAT_END = b'"finish_reason":%b,"stop_reason":%b,"token_ids":null}]'
_CHAT_ON = b'"finish_reason":null,"token_ids":null}]'
_TEXT_END = b'"finish_reason":%b,"stop_reason":%b,"prompt_token_ids":%b,"token_ids":null}]'
_USAGE = b'"usage":{"prompt_tokens":%d,"total_tokens":%d,"completion_tokens":%d'
_MESSAGE = (
    b'"message":{"role":"assistant","content":%b,"refusal":null,"annotations":null,"audio":null,'
    b'"function_call":null%b,"reasoning":%b}'
)
_CHAT_CHOICE = (
    b'{"index":%d,%b,"logprobs":%b,"finish_reason":"%b","stop_reason":%b,"token_ids":null,"routed_experts":null}'
)
_TEXT_CHOICE = (
    b'{"index":%d,"text":"%b","logprobs":%b,"finish_reason":"%b","stop_reason":%b,"token_ids":null,'
    b'"prompt_logprobs":null,"prompt_token_ids":null,"routed_experts":null}'
)
_CHAT_TAIL = (
    b',"prompt_logprobs":null,"prompt_token_ids":null,"prompt_text":null,"kv_transfer_params":null,'
    b'"ec_transfer_params":null,"metrics":null}'
)
_TEXT_TAIL = b',"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}'


class Usage(msgspec.Struct):
    """Tokens as they are reported.

    Attributes:
        created: those put into the prefix cache.
        images: those of images.
        reasoning: those of reasoning, if that is told apart.
    """

    prompt: int
    completion: int
    cached: int = 0
    created: int = 0
    images: int = 0
    reasoning: int | None = None

    @property
    def plain(self) -> bytes:
        """The field's beginning, which all shapes share."""
        return _USAGE % (self.prompt, self.prompt + self.completion, self.completion)

    @property
    def reasoned(self) -> bytes:
        """The field that tells the tokens of reasoning, comma included."""
        told = NULL if self.reasoning is None else b'{"reasoning_tokens":%d}' % self.reasoning
        return b',"completion_tokens_details":' + told

    @property
    def seen(self) -> bytes:
        """The field that tells the tokens of images, comma included."""
        return b',"multimodal_tokens":' + (b'{"image":%d}' % self.images if self.images else NULL)


class Token(msgspec.Struct):
    """What the event of one token says.

    Attributes:
        choice: whose token it is.
        said: its delta as JSON, for a chat; its text ready to stand inside a JSON string, otherwise.
        usage: as `running_usage` gives it, or nothing.
        logprobs: JSON.
        finish: why the choice ends, on its last token.
        stop: the stop string that ended it.
        marked: whether the fingerprint stands here, which it does on last tokens if no usage comes after them.
        prompt: ids of the prompt as JSON, where it is echoed.
    """

    choice: int
    said: bytes
    usage: bytes = b""
    logprobs: bytes = NULL
    finish: str | None = None
    stop: str | None = None
    marked: bool = False
    prompt: bytes = NULL


def escaped(text: str) -> bytes:
    """A text as it stands inside a JSON string."""
    return _encode(text)[1:-1]


def running_usage(usage: Usage, *, chat: bool = True) -> bytes:
    """`usage` on a chunk of a stream, comma included."""
    return b"," + usage.plain + (usage.reasoned + b"}" if chat else b"}")


def final_usage(usage: Usage, *, chat: bool) -> bytes:
    """`usage` at a stream's end; a text completion tells less."""
    details = b',"prompt_tokens_details":{"cached_tokens":%d' % usage.cached
    if not chat:
        return usage.plain + details + b"}}"
    details += b',"created_cache_tokens":%d' % usage.created
    details += b"}" if not usage.images else usage.seen + b"}"
    return usage.plain + details + (b"}" if usage.reasoning is None else usage.reasoned + b"}")


def whole_usage(usage: Usage, *, chat: bool) -> bytes:
    """`usage` in a whole body."""
    created = b"%d" % usage.created if chat else NULL
    details = b',"prompt_tokens_details":{"cached_tokens":%d,"created_cache_tokens":%b%b}%b}'
    return usage.plain + details % (usage.cached, created, usage.seen, usage.reasoned)


class Envelope:
    """What is the same in all events of one stream; `created` in Unix seconds."""

    def __init__(self, identity: str, created: int, model: str, *, chat: bool) -> None:
        kind = "chat.completion.chunk" if chat else "text_completion"
        start = {"id": identity, "object": kind, "created": created, "model": model}
        self._head = b"data: " + _encode(start)[:-1] + b',"choices":['
        self._chat = chat

    def role(self, choice: int, usage: bytes) -> bytes:
        """The event that opens a choice of a chat."""
        return _ROLE % (self._head, choice, usage)

    def token(self, choice: int, text: str, finish: str | None, usage: bytes) -> bytes:
        """An event with one token of plain text; `finish` on the last one."""
        said = b'{"content":"%b"}' % escaped(text) if self._chat else escaped(text)
        return self.event(Token(choice, said, usage, finish=finish))

    def event(self, token: Token) -> bytes:
        """An event with one token."""
        finish = NULL if token.finish is None else b'"%b"' % token.finish.encode()
        stop = NULL if token.stop is None else _encode(token.stop)
        if not self._chat:
            end = _TEXT_END % (finish, stop, token.prompt)
            said = b'"text":"%b"' % token.said
        else:
            end = _CHAT_ON if token.finish is None else _CHAT_END % (finish, stop)
            said = b'"delta":' + token.said
        mark = b"," + _MARK if token.marked else b""
        parts = (self._head, token.choice, said, token.logprobs, end, token.usage, mark)
        return b'%b{"index":%d,%b,"logprobs":%b,%b%b%b}\n\n' % parts

    def final(self, usage: Usage) -> bytes:
        """The event without choices that only reports usage."""
        return b"%b],%b,%b}\n\n" % (self._head, final_usage(usage, chat=self._chat), _MARK)


def chat_message(content: bytes, calls: bytes = b"", reasoning: bytes = NULL) -> bytes:
    """The message of a whole chat completion; content and reasoning are JSON."""
    return _MESSAGE % (content, b',"tool_calls":[%b]' % calls if calls else b"", reasoning)


def chat_choice(token: Token) -> bytes:
    """A choice of a whole chat completion; `said` is its message."""
    finish = (token.finish or "stop").encode()
    return _CHAT_CHOICE % (token.choice, token.said, token.logprobs, finish, _encode(token.stop))


def text_choice(token: Token) -> bytes:
    """A choice of a whole text completion; `said` is its text, ready to stand inside a JSON string."""
    finish = (token.finish or "stop").encode()
    return _TEXT_CHOICE % (token.choice, token.said, token.logprobs, finish, _encode(token.stop))


def whole(start: bytes, choices: list[bytes], usage: bytes, *, chat: bool) -> bytes:
    """A whole body. `start` is its object's beginning, without the closing brace; `usage` may be nothing."""
    body = b'%b,"choices":[%b],"service_tier":null,%b' % (start, b",".join(choices), _MARK)
    return body + (b"," + usage if usage else b"") + (_CHAT_TAIL if chat else _TEXT_TAIL)


def chat_body(start: dict[str, object], texts: list[tuple[str, str]], usage: bytes) -> bytes:
    """A whole chat completion of plain texts, each with its finish reason."""
    head = {"id": start["id"], "object": "chat.completion", "created": start["created"], "model": start["model"]}
    choices = [
        chat_choice(Token(index, chat_message(_encode(text)), finish=finish))
        for index, (text, finish) in enumerate(texts)
    ]
    return whole(_encode(head)[:-1], choices, usage, chat=True)


def pooled_usage(prompt: int) -> dict[str, object]:
    """`usage` of what makes no tokens."""
    nothing = {"prompt_tokens_details": None, "completion_tokens_details": None}
    return {"prompt_tokens": prompt, "total_tokens": prompt, "completion_tokens": 0, **nothing}

"""The bytes that vLLM 0.32 sends, as templates: chunks, bodies, errors."""

import msgspec

_encode = msgspec.json.Encoder().encode
FINGERPRINT = b"mock-engine-1"


class Usage(msgspec.Struct):
    """Tokens as they are reported; `created` are tokens put into the prefix cache."""

    prompt: int
    completion: int
    cached: int = 0
    created: int = 0


def running_usage(usage: Usage) -> bytes:
    """`usage` on a chunk of a stream."""
    total = usage.prompt + usage.completion
    return (
        b',"usage":{"prompt_tokens":%d,"total_tokens":%d,"completion_tokens":%d,"completion_tokens_details":null}'
        % (usage.prompt, total, usage.completion)
    )


def final_usage(usage: Usage, *, chat: bool) -> bytes:
    """`usage` at the end; text completions have no details."""
    head = b'"usage":{"prompt_tokens":%d,"total_tokens":%d,"completion_tokens":%d' % (
        usage.prompt,
        usage.prompt + usage.completion,
        usage.completion,
    )
    if not chat:
        return head + b"}"
    return head + b',"prompt_tokens_details":{"cached_tokens":%d,"created_cache_tokens":%d}}' % (
        usage.cached,
        usage.created,
    )


class Envelope:
    """What is the same in all chunks of one request."""

    def __init__(self, identity: str, created: int, model: str, *, chat: bool) -> None:
        kind = "chat.completion.chunk" if chat else "text_completion"
        start = {"id": identity, "object": kind, "created": created, "model": model}
        self._start = b"data: " + _encode(start)[:-1]
        self._chat = chat

    def role(self, choice: int, usage: bytes) -> bytes:
        """The first chunk of a choice of a chat."""
        return (
            b'%b,"choices":[{"index":%d,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]'
            b'%b,"prompt_token_ids":null,"prompt_text":null}\n\n' % (self._start, choice, usage)
        )

    def token(self, choice: int, text: str, finish: str | None, usage: bytes) -> bytes:
        """A chunk with one token; `finish` on the last one."""
        reason = b"null" if finish is None else b'"%b"' % finish.encode()
        stop = b"" if finish is None else b',"stop_reason":null'
        body = (
            b'"delta":{"content":%b},"logprobs":null,"finish_reason":%b%b,"token_ids":null'
            if self._chat
            else b'"text":%b,"logprobs":null,"finish_reason":%b%b,"prompt_token_ids":null,"token_ids":null'
        ) % (_encode(text), reason, stop)
        return b'%b,"choices":[{"index":%d,%b}]%b}\n\n' % (self._start, choice, body, usage)

    def final(self, usage: Usage) -> bytes:
        """The chunk without choices that only reports usage."""
        report = final_usage(usage, chat=self._chat)
        return b'%b,"choices":[],%b,"system_fingerprint":"%b"}\n\n' % (self._start, report, FINGERPRINT)


DONE = b"data: [DONE]\n\n"
ERROR_CHUNK = (
    b'data: {"error":{"message":"EngineCore encountered an issue.","type":"InternalServerError","param":null,'
    b'"code":500}}\n\n'
)


def chat_body(start: dict[str, object], texts: list[tuple[str, str]], usage: bytes) -> bytes:
    """A whole chat completion; `texts` are (text, finish reason)."""
    choices: list[dict[str, object]] = [
        {
            "index": index,
            "message": {
                "role": "assistant",
                "content": text,
                "refusal": None,
                "annotations": None,
                "audio": None,
                "function_call": None,
                "tool_calls": [],
                "reasoning": None,
            },
            "logprobs": None,
            "finish_reason": finish,
            "stop_reason": None,
            "token_ids": None,
        }
        for index, (text, finish) in enumerate(texts)
    ]
    whole = {**start, "object": "chat.completion", "choices": choices, "service_tier": None}
    return _encode({**whole, "system_fingerprint": FINGERPRINT.decode()})[:-1] + _tail(usage)


def text_body(start: dict[str, object], texts: list[tuple[str, str]], usage: bytes) -> bytes:
    """A whole text completion."""
    choices = [
        {
            "index": index,
            "text": text,
            "logprobs": None,
            "finish_reason": finish,
            "stop_reason": None,
            "token_ids": None,
            "prompt_logprobs": None,
            "prompt_token_ids": None,
        }
        for index, (text, finish) in enumerate(texts)
    ]
    whole = {**start, "object": "text_completion", "choices": choices, "service_tier": None}
    return _encode({**whole, "system_fingerprint": FINGERPRINT.decode()})[:-1] + _tail(usage)


def error(status: int, message: str, kind: str, param: str | None = None) -> bytes:
    """An error; its code is an integer, as vLLM's is."""
    return _encode({"error": {"message": message, "type": kind, "param": param, "code": status}})


def _tail(usage: bytes) -> bytes:
    return (
        b"," + usage if usage else b""
    ) + b',"prompt_logprobs":null,"prompt_token_ids":null,"kv_transfer_params":null}'

"""Event streams exactly as vLLM 0.32 sends them, built event by event, with what the client should get of them."""

from dataclasses import dataclass, field

import msgspec

HEAD = '"id":"chatcmpl-1","object":"chat.completion.chunk","created":1760000000,"model":"m"'
DONE = b"data: [DONE]\n\n"
ERROR = (
    b'data: {"error":{"message":"EngineCore encountered an issue.","type":"InternalServerError","param":null,'
    b'"code":500}}\n\n'
)


@dataclass
class Script:
    """What an engine writes, and what of it is usage."""

    prompt: int = 34
    cached: int = 0
    texts: list[str] = field(default_factory=lambda: ["Hello", " world", "!"])
    running: bool = True
    final: bool = True
    newline: str = "\n"

    def events(self, *, usage: bool, final: bool) -> list[bytes]:
        """All events; `usage` keeps the running usage in, `final` the last event that only reports."""
        events = [self._role(self._usage(0) if usage and self.running else "")]
        for place, text in enumerate(self.texts, start=1):
            last = place == len(self.texts)
            events.append(self._token(text, self._usage(place) if usage and self.running else "", last=last))
        if final and self.final:
            events.append(self._final())
        return [event.replace("\n", self.newline).encode() for event in (*events, DONE.decode())]

    def stream(self) -> bytes:
        """What the engine writes."""
        return b"".join(self.events(usage=True, final=True))

    def for_client(self, *, include_usage: bool, continuous: bool) -> bytes:
        """What a client that asked so should get."""
        return b"".join(self.events(usage=include_usage and continuous, final=include_usage))

    @property
    def tokens(self) -> tuple[int, int, int] | None:
        """What is to be charged."""
        if self.final:
            return self.prompt, len(self.texts), min(self.cached, self.prompt)
        return (self.prompt, len(self.texts), 0) if self.running else None

    def _usage(self, completion: int) -> str:
        total = self.prompt + completion
        return (
            f',"usage":{{"prompt_tokens":{self.prompt},"total_tokens":{total},"completion_tokens":{completion},'
            '"completion_tokens_details":null}'
        )

    def _role(self, usage: str) -> str:
        return (
            f'data: {{{HEAD},"choices":[{{"index":0,"delta":{{"role":"assistant","content":""}},"logprobs":null,'
            f'"finish_reason":null}}]{usage},"prompt_token_ids":null,"prompt_text":null}}\n\n'
        )

    def _token(self, text: str, usage: str, *, last: bool) -> str:
        content = msgspec.json.encode(text).decode()
        finish = '"stop","stop_reason":null' if last else "null"
        return (
            f'data: {{{HEAD},"choices":[{{"index":0,"delta":{{"content":{content}}},"logprobs":null,'
            f'"finish_reason":{finish},"token_ids":null}}]{usage}}}\n\n'
        )

    def _final(self) -> str:
        completion = len(self.texts)
        return (
            f'data: {{{HEAD},"choices":[],"usage":{{"prompt_tokens":{self.prompt},'
            f'"total_tokens":{self.prompt + completion},"completion_tokens":{completion},"prompt_tokens_details":'
            f'{{"cached_tokens":{self.cached},"created_cache_tokens":0}}}},"system_fingerprint":"vllm-0.32.0"}}\n\n'
        )

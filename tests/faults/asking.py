"""One request, and how it went: for what the load does not tell apart."""

import time
from dataclasses import dataclass, field

import httpx

PATIENCE_S = 60.0


@dataclass
class Answer:
    """How a request ended.

    Attributes:
        status: 0 where there was no answer.
        text: all that came.
        first_s, total_s: until the head of the answer, and its end.
        broken: the connection ended too early.
    """

    status: int = 0
    text: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    first_s: float = 0.0
    total_s: float = 0.0
    broken: bool = False

    @property
    def request_id(self) -> str:
        return self.headers.get("x-request-id", "")

    @property
    def whole(self) -> bool:
        """Whether it is a stream with its end, or an answer in one piece."""
        return (
            self.status == 200
            and not self.broken
            and not self.told
            and (self.text.endswith("data: [DONE]\n\n") or self.text[:1] == "{")
        )

    @property
    def told(self) -> bool:
        """Whether it is a refusal, or a stream that ended with an error."""
        return (self.status >= 400 or '"error"' in self.text) and not self.broken


async def ask(gateway: str, token: str, directive: str, **body: object) -> Answer:
    """Ask once, whatever comes of it."""
    message = {"role": "user", "content": f"[[mock {directive}]]"}
    whole = {"model": "mock-gpt", "max_tokens": 64, "messages": [message], **body}
    answer = Answer()
    began = time.monotonic()
    headers = {"authorization": f"Bearer {token}"}
    try:
        async with (
            httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False, verify=False) as client,
            client.stream("POST", f"{gateway}/v1/chat/completions", json=whole, headers=headers) as got,
        ):
            answer.status, answer.headers = got.status_code, dict(got.headers)
            answer.first_s = time.monotonic() - began
            async for part in got.aiter_text():
                answer.text += part
    except (httpx.HTTPError, AttributeError):  # anyio's, of a connection that broke while it was made
        answer.broken = True
    answer.total_s = time.monotonic() - began
    return answer

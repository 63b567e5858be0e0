"""What is asked on the playground's page, what comes back, and the same as programs would write it."""

import re
from collections.abc import Iterator
from decimal import Decimal
from http import HTTPStatus
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ias.billing.catalogue.domain import Model
from ias.billing.ledger.domain import EXACT

MOST_TOKENS: Final = 2**53 - 1
MOST_ID: Final = 64
MOST_FINISH: Final = 40
_Text = Annotated[str, Meta(max_length=200_000)]
_Count = Annotated[int, Meta(ge=0, le=MOST_TOKENS)]
_Ms = Annotated[float, Meta(ge=0, le=1e9)]


class Turn(msgspec.Struct, frozen=True):
    """One message."""

    role: str
    content: str


class Parameters(msgspec.Struct, kw_only=True, frozen=True):
    """How is asked. What is left out is as the model has it."""

    model: Annotated[str, Meta(min_length=1, max_length=128)]
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=10_000_000)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: Annotated[list[Annotated[str, Meta(max_length=1000)]], Meta(max_length=4)] = []


class Asked(Parameters, kw_only=True, frozen=True):
    """What is asked; `asked` and `answered` are what was said before, by turns."""

    content: Annotated[_Text, Meta(min_length=1)]
    system: _Text = ""
    asked: list[_Text] = []
    answered: list[_Text] = []


class Used(msgspec.Struct, kw_only=True, frozen=True):
    """What an answer used and how long it took, as whoever read it saw it; times are milliseconds."""

    model: str
    prompt_tokens: _Count = 0
    completion_tokens: _Count = 0
    cached_tokens: _Count = 0
    first_ms: _Ms | None = None
    total_ms: _Ms = 0
    request_id: Annotated[str, Meta(max_length=MOST_ID)] = ""
    finish: Annotated[str, Meta(max_length=MOST_FINISH)] = ""

    @property
    def rate(self) -> float | None:
        """Tokens a second after the first one; None where nobody saw that come, or there were too few to tell."""
        if self.first_ms is None or self.completion_tokens < 2 or self.total_ms <= self.first_ms:  # noqa: PLR2004 - the first one is not counted
            return None
        return (self.completion_tokens - 1) / (self.total_ms - self.first_ms) * 1000


class Refusal(msgspec.Struct, kw_only=True, frozen=True):
    """Why there is no answer, or no more of it; `status` is the gateway's, 0 where it said nothing."""

    message: str
    status: int = 0
    code: str = ""
    todo: str = ""


_ADVICE: Final = {
    "invalid_api_key": "The playground's key has ended or was revoked. Forget it, and make a new one.",
    "insufficient_permissions": "Ask an admin of your organisation, or a system admin.",
    "model_not_found": "Choose another model; an admin can give your organisation more of them.",
    "insufficient_quota": "Ask an admin of your organisation for a larger budget, or wait for the next month.",
    "rate_limit_exceeded": "Wait a moment, then send it again; an admin can raise the limit.",
    "context_length_exceeded": "Begin a new conversation, or ask for fewer tokens.",
    "server_overloaded": "Wait a moment, then send it again.",
    "upstream_error": "Send it again. If it stays, tell whoever operates this service.",
    "upstream_timeout": "Send it again. If it stays, ask for fewer tokens.",
}
_BY_STATUS: Final = {
    400: "Change what you ask for, then send it again.",
    401: _ADVICE["invalid_api_key"],
    429: _ADVICE["rate_limit_exceeded"],
}


class _Detail(msgspec.Struct):
    message: str = ""
    code: str | None = None


class _Envelope(msgspec.Struct):
    error: _Detail


def refusal(status: int, body: bytes) -> Refusal:
    """What the gateway said instead of an answer."""
    try:
        said = msgspec.json.decode(body, type=_Envelope).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        said = _Detail(f"The gateway answered {_named(status)}, and nothing that can be read.")
    code = said.code or ""
    todo = _ADVICE.get(code) or _BY_STATUS.get(status, _ADVICE["upstream_error"])
    return Refusal(message=said.message, status=status, code=code, todo=todo)


def _named(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}" if status in set(HTTPStatus) else str(status)


class Unnamed:
    """A stream of events as it is handed on, line by line: the names that an engine gives to them become comments.

    So none of them passes for an event of the playground's own.
    """

    _NAME: Final = re.compile(rb"(^|\r)(?=event)", re.MULTILINE)

    def __init__(self) -> None:
        self._rest = bytearray()

    def take(self, chunk: bytes) -> bytes:
        """The lines that are whole with this; nothing where it ends none."""
        whole, end, rest = chunk.rpartition(b"\n")
        if not end:
            self._rest += rest
            return b""
        lines, self._rest = bytes(self._rest) + whole + end, bytearray(rest)
        return self._NAME.sub(rb"\1:", lines)


def messages(asked: Asked) -> list[Turn]:
    """The conversation, the new question last."""
    before = zip(asked.asked, asked.answered, strict=False)
    turns = [turn for question, answer in before for turn in (Turn("user", question), Turn("assistant", answer))]
    system = [Turn("system", asked.system)] if asked.system else []
    return [*system, *turns, Turn("user", asked.content)]


def body(asked: Asked, *, streamed: bool) -> bytes:
    """The request, as it is sent."""
    how = {"stream": True, "stream_options": {"include_usage": True}} if streamed else {}
    return msgspec.json.encode(_fields(asked) | how)


def _fields(asked: Asked) -> dict[str, object]:
    parameters = {name: getattr(asked, name) for name in ("temperature", "top_p", "max_tokens", "seed")}
    given = {name: value for name, value in parameters.items() if value is not None}
    stop = {"stop": asked.stop} if asked.stop else {}
    return {"model": asked.model, "messages": messages(asked), **given, **stop}


def cost(used: Used, model: Model) -> Decimal:
    """Money, exact, by the rates that hold now: as ledger lines are priced."""
    cached = min(used.cached_tokens, used.prompt_tokens)
    parts = (
        (used.prompt_tokens - cached, model.input_rate),
        (cached, model.cached_input_rate),
        (used.completion_tokens, model.output_rate),
    )
    total = Decimal(0)
    for tokens, rate in parts:
        total = EXACT.add(total, EXACT.multiply(Decimal(tokens), rate))
    return EXACT.scaleb(total, -3)


class Snippet(msgspec.Struct, frozen=True):
    """The same request in another language; `name` is a word for selectors."""

    name: str
    title: str
    text: str


def snippets(asked: Asked, base_url: str) -> Iterator[Snippet]:
    """The request as programs write it. The key is left to the environment: it is shown nowhere."""
    fields = _fields(asked)
    yield Snippet("curl", "curl", _curl(fields, base_url))
    yield Snippet("python", "Python", _python(fields, base_url))
    yield Snippet("node", "Node", _node(fields, base_url))


def _curl(fields: dict[str, object], base_url: str) -> str:
    given = ",\n".join(f'    "{name}": {_literal(value, 4)}' for name, value in (fields | {"stream": True}).items())
    sent = f"{{\n{given}\n  }}".replace("'", "'\\''")
    return (
        f"curl -N {base_url}/chat/completions \\\n"
        '  -H "Authorization: Bearer $OPENAI_API_KEY" \\\n'
        '  -H "Content-Type: application/json" \\\n'
        f"  -d '{sent}'"
    )


def _python(fields: dict[str, object], base_url: str) -> str:
    arguments = "".join(f"    {name}={_literal(value, 4)},\n" for name, value in fields.items())
    return (
        "import os\n\nfrom openai import OpenAI\n\n"
        f'client = OpenAI(base_url="{base_url}", api_key=os.environ["OPENAI_API_KEY"])\n'
        f"answer = client.chat.completions.create(\n{arguments}    stream=True,\n)\n"
        "for chunk in answer:\n    if chunk.choices:\n"
        '        print(chunk.choices[0].delta.content or "", end="", flush=True)'
    )


def _node(fields: dict[str, object], base_url: str) -> str:
    arguments = "".join(f"  {name}: {_literal(value, 2)},\n" for name, value in fields.items())
    return (
        'import OpenAI from "openai";\n\n'
        f'const client = new OpenAI({{ baseURL: "{base_url}", apiKey: process.env.OPENAI_API_KEY }});\n'
        f"const answer = await client.chat.completions.create({{\n{arguments}  stream: true,\n}});\n"
        "for await (const chunk of answer) {\n"
        '  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");\n}'
    )


def _literal(value: object, indent: int) -> str:
    """A value as JSON, which Python and JavaScript read as it is; messages one a line."""
    if isinstance(value, list) and value and isinstance(value[0], Turn):
        edge = " " * indent
        return "[\n" + ",\n".join(f"{edge * 2}{_in_line(each)}" for each in value) + f"\n{edge}]"
    return _in_line(value)


def _in_line(value: object) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()

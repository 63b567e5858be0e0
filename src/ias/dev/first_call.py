"""The main job, done once: one streamed completion with the demo key, printed as it comes, then its ledger line."""

from collections.abc import Iterator

import httpx
import msgspec

from ias.dev.demo import MODEL
from ias.dev.fault import Fault
from ias.dev.portal import Portal
from ias.dev.state import State

PROMPT = "In one sentence: what does this platform do?"
TIMEOUT_S = 30.0
DATA = "data: "


class Message(msgspec.Struct):
    """One turn of a chat."""

    role: str
    content: str


class Completion(msgspec.Struct):
    """POST /v1/chat/completions."""

    model: str
    messages: list[Message]
    stream: bool = True
    max_tokens: int = 48


class Delta(msgspec.Struct):
    """What a chunk adds."""

    content: str | None = None


class Choice(msgspec.Struct):
    """One of the answers in a chunk."""

    delta: Delta


class Chunk(msgspec.Struct):
    """One event of the stream."""

    choices: list[Choice] = []


class Usage(msgspec.Struct):
    """GET /analytics/orgs/{id}/usage."""

    requests: int
    input_tokens: int
    output_tokens: int


def stream(state: State) -> Iterator[str]:
    """The completion's text, piece by piece.

    Raises:
        Fault: the gateway refuses or does not answer.
    """
    body = msgspec.json.encode(Completion(MODEL, [Message("user", PROMPT)]))
    try:
        with httpx.stream(
            "POST",
            f"{state.url('gateway')}/v1/chat/completions",
            content=body,
            headers={"Authorization": f"Bearer {state.demo.api_key}", "Content-Type": "application/json"},
            timeout=TIMEOUT_S,
            trust_env=False,
        ) as answer:
            if not answer.is_success:
                raise Fault(f"the gateway answers {answer.status_code}: {answer.read().decode()[:500]}")
            yield from (text for line in answer.iter_lines() for text in _texts(line))
    except httpx.HTTPError as error:
        raise Fault(f"the gateway broke off: {str(error) or type(error).__name__}") from error


def usage(state: State) -> Usage:
    """What the demo organisation has used so far, as its admin sees it.

    Raises:
        Fault: the API refuses or does not answer.
    """
    portal = Portal(state.url("api"))
    try:
        portal.become(state.demo.org_admin)
        return portal.get(f"/analytics/orgs/{state.demo.org_id}/usage", Usage)
    finally:
        portal.close()


def _texts(line: str) -> Iterator[str]:
    if not line.startswith(DATA) or line == f"{DATA}[DONE]":
        return
    for choice in msgspec.json.decode(line.removeprefix(DATA), type=Chunk).choices:
        yield choice.delta.content or ""

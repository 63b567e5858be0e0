"""The main job, done once: one streamed completion with the demo key, and its line in the ledger when it lands."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import msgspec

from ias.dev.fault import Fault
from ias.dev.portal import NO_CERTIFICATES, Portal
from ias.dev.state import State

PROMPT = "In one sentence: what does an inference platform do?"
TIMEOUT_S = 120.0
LANDS_WITHIN_S = 15.0
POLL_S = 0.1
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


class LedgerLine(msgspec.Struct):
    """What was used and what it costs."""

    request_id: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost: str
    outcome: str


class LedgerLines(msgspec.Struct):
    """GET /ledger/lines."""

    items: list[LedgerLine]


class Answer(msgspec.Struct, frozen=True):
    """A completion that streams: the id that its ledger line will have, and its text, piece by piece."""

    request_id: str
    pieces: Iterator[str]


@contextmanager
def asked(state: State, model: str) -> Iterator[Answer]:
    """One streamed completion with the demo key.

    Raises:
        Fault: the gateway refuses, or breaks off.
    """
    try:
        with httpx.stream(
            "POST",
            f"{state.url('gateway')}/v1/chat/completions",
            content=msgspec.json.encode(Completion(model, [Message("user", PROMPT)])),
            headers={"Authorization": f"Bearer {state.demo.api_key}", "Content-Type": "application/json"},
            timeout=TIMEOUT_S,
            verify=NO_CERTIFICATES,
            trust_env=False,
        ) as answer:
            if not answer.is_success:
                raise Fault(f"the gateway answers {answer.status_code}: {answer.read().decode()[:500]}")
            pieces = (text for line in answer.iter_lines() for text in _texts(line))
            yield Answer(answer.headers["x-request-id"], pieces)
    except httpx.HTTPError as error:
        raise Fault(f"the gateway broke off: {str(error) or type(error).__name__}") from error


def ledger_line(state: State, request_id: str) -> LedgerLine:
    """The completion's line, as the organisation's admin sees it; waits until it lands.

    Raises:
        Fault: the API refuses, or the line does not land in time.
    """
    deadline = time.monotonic() + LANDS_WITHIN_S
    portal = Portal(state.url("api"))
    try:
        portal.become(state.demo.org_admin)
        while not (lines := portal.get(f"/ledger/lines?request_id={request_id}", LedgerLines).items):
            if time.monotonic() > deadline:
                raise Fault(f"the ledger line did not land within {LANDS_WITHIN_S:.0f} s: see .ias/logs/worker.log.")
            time.sleep(POLL_S)
    finally:
        portal.close()
    return lines[0]


def _texts(line: str) -> Iterator[str]:
    if not line.startswith(DATA) or line == f"{DATA}[DONE]":
        return
    for choice in msgspec.json.decode(line.removeprefix(DATA), type=Chunk).choices:
        yield choice.delta.content or ""

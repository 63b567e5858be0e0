"""What the playground sends, what that costs, and the same as programs would write it."""

import ast
import shlex
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from ias.billing.catalogue.domain import Model
from ias.billing.playground.domain import (
    Asked,
    Refusal,
    Turn,
    Unnamed,
    Used,
    body,
    cost,
    messages,
    refusal,
    snippets,
)
from ias.billing.playground.relay import Answer, read

BASE = "https://models.example.org/v1"
ASKED = Asked(
    model="m",
    content='it\'s "so"\nreally',
    system="Be brief",
    asked=["one"],
    answered=["two"],
    temperature=0.5,
    stop=["\n"],
    seed=3,
)
MODEL = Model(
    id=UUID(int=1),
    name="m",
    upstream_name="m",
    enabled=True,
    context_length=10,
    max_output_tokens=5,
    tenant_salt=True,
    input_rate=Decimal(1),
    cached_input_rate=Decimal("0.25"),
    output_rate=Decimal("0.0000000001"),
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def test_the_conversation_is_sent_in_turns_with_what_was_chosen_and_nothing_else() -> None:
    assert messages(ASKED) == [
        Turn("system", "Be brief"),
        Turn("user", "one"),
        Turn("assistant", "two"),
        Turn("user", 'it\'s "so"\nreally'),
    ]
    sent = msgspec.json.decode(body(ASKED, streamed=True))
    assert sent.keys() == {"model", "messages", "temperature", "seed", "stop", "stream", "stream_options"}
    assert sent["stream_options"] == {"include_usage": True}
    plain = msgspec.json.decode(body(Asked(model="m", content="x"), streamed=False))
    assert plain == {"model": "m", "messages": [{"role": "user", "content": "x"}]}


def test_an_answer_costs_what_a_ledger_line_would() -> None:
    used = Used(model="m", prompt_tokens=10, cached_tokens=4, completion_tokens=3)
    assert cost(used, MODEL) == Decimal("0.0070000000003")
    assert cost(Used(model="m", prompt_tokens=1, cached_tokens=9), MODEL) == Decimal("0.00025")


def test_speed_is_told_of_what_came_after_the_first_token() -> None:
    assert Used(model="m", completion_tokens=11, first_ms=500, total_ms=1500).rate == 10
    assert Used(model="m", completion_tokens=1, first_ms=500, total_ms=1500).rate is None
    assert Used(model="m", completion_tokens=9, first_ms=5, total_ms=5).rate is None
    assert Used(model="m", completion_tokens=9, total_ms=5).rate is None


def test_what_is_shown_as_curl_sends_the_same_body() -> None:
    curl = next(each.text for each in snippets(ASKED, BASE) if each.name == "curl")
    words = shlex.split(curl.replace("\\\n", " "))
    assert words[:3] == ["curl", "-N", f"{BASE}/chat/completions"]
    sent = msgspec.json.decode(words[words.index("-d") + 1])
    assert sent == msgspec.json.decode(body(ASKED, streamed=False)) | {"stream": True}


def test_what_is_shown_as_python_calls_with_the_same_arguments() -> None:
    python = next(each.text for each in snippets(ASKED, BASE) if each.name == "python")
    calls = [node for node in ast.walk(ast.parse(python)) if isinstance(node, ast.Call)]
    given = next(each.keywords for each in calls if ast.unparse(each.func).endswith("completions.create"))
    sent = {str(each.arg): ast.literal_eval(each.value) for each in given}
    assert sent == msgspec.json.decode(body(ASKED, streamed=False)) | {"stream": True}
    assert f'baseURL: "{BASE}"' in next(each.text for each in snippets(ASKED, BASE) if each.name == "node")


@pytest.mark.parametrize(
    ("status", "answer", "message", "todo"),
    [
        (429, b'{"error":{"message":"Too fast.","code":"insufficient_quota"}}', "Too fast.", "larger budget"),
        (401, b'{"error":{"message":"No.","code":null}}', "No.", "make a new one"),
        (400, b'{"error":{"message":"Bad."}}', "Bad.", "Change what you ask for"),
        (502, b"<html>", "The gateway answered 502 Bad Gateway, and nothing that can be read.", "Send it again"),
        (599, b"\xff", "The gateway answered 599, and nothing that can be read.", "Send it again"),
    ],
)
def test_a_refusal_says_what_the_gateway_said_and_what_to_do(
    status: int, answer: bytes, message: str, todo: str
) -> None:
    refused = refusal(status, answer)
    assert (refused.status, refused.message) == (status, message)
    assert todo in refused.todo


@pytest.mark.parametrize("at_once", [1, 2, 7, 1000])
def test_names_that_an_engine_gives_to_events_become_comments_however_they_come(at_once: int) -> None:
    sent = (
        b"event: refused\ndata: {}\n\nevent:begun\r\ndata: event: x\n\ndata: a\revent: refused\rdata: b\n\n"
        b'data: {"event": 1}\n\nevent'
    )
    unnamed = Unnamed()
    told = b"".join(unnamed.take(sent[start : start + at_once]) for start in range(0, len(sent), at_once))
    told += unnamed.take(b"\n")
    assert told == (
        b":event: refused\ndata: {}\n\n:event:begun\r\ndata: event: x\n\ndata: a\r:event: refused\rdata: b\n\n"
        b'data: {"event": 1}\n\n:event\n'
    )


@pytest.mark.parametrize("engine", [b'{"choices":[{"message":{"content":"\xff"}}],"usage":{}}', b"[" * 60_000, b"[]"])
def test_an_answer_that_cannot_be_read_is_a_refusal(engine: bytes) -> None:
    assert isinstance(read(engine, "id", 1), Refusal)


def test_what_an_engine_says_beyond_all_measure_is_cut_to_what_can_be_shown() -> None:
    usage = {"prompt_tokens": -3, "completion_tokens": 2**60, "prompt_tokens_details": {"cached_tokens": -1}}
    told = {"choices": [{"message": {"content": "x"}, "finish_reason": "f" * 99}], "usage": usage}
    answer = read(msgspec.json.encode(told), "i" * 99, 1)
    assert isinstance(answer, Answer)
    used = msgspec.convert(msgspec.structs.asdict(answer) | {"model": "m"}, Used)
    assert (used.prompt_tokens, used.completion_tokens, used.cached_tokens) == (0, 2**53 - 1, 0)
    assert (len(used.finish), len(used.request_id)) == (40, 64)

"""The strict body: what is accepted is rebuilt, all else is refused by name."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.contract.admission import NO_OUTPUT, NOT_ASKED
from ias_gateway import body
from ias_gateway.body import BadBody

CHAT, TEXT, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
HI = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def encode(value: object) -> bytes:
    return msgspec.json.encode(value)


def read(value: object, endpoint: str = CHAT) -> body.Body:
    return body.read(endpoint, encode(value))


def refused(value: object, endpoint: str = CHAT) -> BadBody:
    with pytest.raises(BadBody) as caught:
        body.read(endpoint, value if isinstance(value, bytes) else encode(value))
    return caught.value


def rebuilt(value: object, endpoint: str = CHAT, output: int = 7, salt: str | None = None) -> dict:
    return msgspec.json.decode(body.rebuild(read(value, endpoint), "upstream", output, salt))


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"priority": 1}, "priority"),
        ({"cache_salt": "x"}, "cache_salt"),
        ({"request_id": "x"}, "request_id"),
        ({"kv_transfer_params": {}}, "kv_transfer_params"),
        ({"chat_template": "x"}, "chat_template"),
        ({"prompt_embeds": "x"}, "prompt_embeds"),
        ({"messages": [{"role": "user", "content": "a", "zip": 1}]}, "messages[0].zip"),
        ({"messages": [{"role": "emperor", "content": "a"}]}, "messages[0].role"),
        ({"messages": []}, "messages"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": -3}, "max_completion_tokens"),
        ({"n": 0}, "n"),
        ({"n": 129}, "n"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"temperature": "hot"}, "temperature"),
        ({"model": 5}, "model"),
    ],
)
def test_a_bad_field_is_named(change: dict, param: str) -> None:
    assert refused({**HI, **change}).param == param


def test_a_missing_field_is_named() -> None:
    assert refused({"model": "m"}).param == "messages"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"NaN",
        b'{"model": NaN}',
        b"\xff\xfe{\x00}\x00",
        b'{"model":"\xff"}',
        b"{}{}",
        b"[" * 100_000,
    ],
)
def test_what_is_no_request_is_refused_and_never_more_than_that(raw: bytes) -> None:
    assert refused(raw).message


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(raw: bytes) -> None:
    with pytest.raises(BadBody):
        body.read(CHAT, raw)


def test_of_two_equal_keys_only_the_one_that_was_read_travels() -> None:
    read_twice = body.read(CHAT, b'{"model":"a","\\u006dodel":"b","messages":[{"role":"user","content":"x"}]}')
    assert read_twice.model == "b"
    assert body.rebuild(read_twice, read_twice.model, 1, None).count(b'"model"') == 1


def test_the_engine_gets_its_own_name_the_granted_limit_and_the_salt() -> None:
    sent = rebuilt({**HI, "max_tokens": 500, "user": "jane", "store": True}, output=77, salt="s" * 8)
    assert (sent["model"], sent["max_completion_tokens"], sent["cache_salt"]) == ("upstream", 77, "s" * 8)
    assert not {"max_tokens", "user", "store", "stream_options"} & set(sent)


def test_streams_ask_for_running_usage_whatever_the_client_asked() -> None:
    sent = rebuilt({**HI, "stream": True, "stream_options": {"include_usage": False}})
    assert sent["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}


def test_tools_and_schemas_travel_as_they_were_read() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"a": {}}}}}
    kept = {
        "tools": [tool],
        "tool_choice": "auto",
        "response_format": {"type": "json_object"},
        "seed": 5,
        "stop": ["x"],
    }
    sent = rebuilt({**HI, **kept})
    assert {name: sent[name] for name in kept} == kept


def test_a_conversation_with_tool_calls_travels() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call], "reasoning": "because"},
        {"role": "tool", "content": [{"type": "text", "text": "é"}], "tool_call_id": "1"},
        {"role": "assistant", "refusal": "no", "function_call": {"name": "g", "arguments": "{}"}},
    ]
    asked = read({"model": "m", "messages": messages})
    text = len("because") + len("é".encode()) + len("no")
    assert body.ask(CHAT, asked).prompt > text + 3 * body.MESSAGE_OVERHEAD
    assert rebuilt({"model": "m", "messages": messages})["messages"][0]["tool_calls"] == [call]


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_the_bound_of_a_prompt_is_its_utf8_bytes_and_eight_a_message(texts: list[str]) -> None:
    try:
        messages = [{"role": "user", "content": text} for text in texts]
        asked = body.ask(CHAT, read({"model": "m", "messages": messages}))
    except UnicodeEncodeError:
        return
    assert asked.prompt == sum(len(text.encode()) + 8 for text in texts)


def test_tools_count_into_the_bound() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    more = body.ask(CHAT, read({**HI, "tools": tools})).prompt - body.ask(CHAT, read(HI)).prompt
    assert more == len(encode(tools))


@pytest.mark.parametrize(
    ("fields", "output"),
    [({}, NOT_ASKED), ({"max_tokens": 5}, 5), ({"max_completion_tokens": 6, "max_tokens": 5}, 6)],
)
def test_the_output_limit_is_the_newer_field_where_both_are_given(fields: dict, output: int) -> None:
    assert body.ask(CHAT, read({**HI, **fields})).output == output


@pytest.mark.parametrize(
    ("prompt", "tokens", "count"),
    [("abc", 3, 1), (["abc", "é"], 5, 2), ([1, 2, 3], 3, 1), ([[1, 2], [3]], 3, 2)],
)
def test_prompts_are_text_or_tokens_one_or_many(prompt: object, tokens: int, count: int) -> None:
    asked = body.ask(TEXT, read({"model": "m", "prompt": prompt, "n": 2, "best_of": 3}, TEXT))
    assert (asked.prompt, asked.n) == (tokens, count * 3)
    assert rebuilt({"model": "m", "prompt": prompt}, TEXT)["prompt"] == prompt


@pytest.mark.parametrize("prompt", [[], ["a", 1], [1, [2]]])
def test_an_empty_or_mixed_prompt_is_refused(prompt: list) -> None:
    asked = read({"model": "m", "prompt": prompt}, TEXT)
    with pytest.raises(BadBody):
        body.ask(TEXT, asked)


def test_embeddings_hold_no_output() -> None:
    asked = body.ask(EMBEDDINGS, read({"model": "m", "input": ["a", "b"], "user": "u"}, EMBEDDINGS))
    assert (asked.prompt, asked.n, asked.output, asked.streamed) == (2, 1, NO_OUTPUT, False)
    assert "user" not in rebuilt({"model": "m", "input": "a", "user": "u"}, EMBEDDINGS)


@pytest.mark.parametrize(
    ("options", "wants"),
    [
        (None, (False, False)),
        ({"include_usage": False, "continuous_usage_stats": True}, (False, False)),
        ({"include_usage": True}, (True, False)),
        ({"include_usage": True, "continuous_usage_stats": True}, (True, True)),
    ],
)
def test_what_usage_the_client_wants(options: dict | None, wants: tuple[bool, bool]) -> None:
    assert body.wants_usage(read({**HI, "stream": True, "stream_options": options})) == wants


def test_embeddings_want_no_usage_events() -> None:
    assert body.wants_usage(read({"model": "m", "input": "a"}, EMBEDDINGS)) == (False, False)

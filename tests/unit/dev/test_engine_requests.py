"""Bodies are read as vLLM reads them, and refused in its words."""

import msgspec
import pytest

from ias.dev.engine import tokens
from ias.dev.engine.parts import Eye
from ias.dev.engine.refusals import Refused
from ias.dev.engine.requests import Chat, Text, decoder, read
from ias.dev.engine.routes.prompts import images, spoken
from ias.dev.engine.served import Generator

JSON = b"application/json; charset=utf-8"
BLIND = Eye(Generator("mock-gpt"), 5)
SEEING = Eye(Generator("mock-vision", sees=True), 5)


def chat(raw: bytes, content_type: bytes = JSON) -> Chat:
    return read(raw, content_type, decoder(Chat))


def test_unknown_fields_are_ignored_and_the_last_of_two_equal_keys_wins() -> None:
    asked = chat(rb'{"model":"a","messages":[{"role":"user","who":1}],"priority":3,"\u006dodel":"b"}')
    assert asked.model == "b"


def test_a_message_says_its_parts_and_what_it_calls() -> None:
    raw = (
        b'{"messages":[{"role":"assistant","content":[{"type":"text","text":"a"},"b"],'
        b'"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}]},'
        b'{"role":"user","content":null}]}'
    )
    assert spoken(chat(raw).messages, BLIND) == [("assistant", "abf{}"), ("user", "")]


def test_an_image_is_so_many_tokens_to_a_model_that_sees_and_refused_by_any_other() -> None:
    asked = chat(
        b'{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://x"}},"what"]}]}'
    )
    ((_, text),) = spoken(asked.messages, SEEING)
    assert (tokens.count(text), images(asked.messages, SEEING), text[-4:]) == (5 + 1, 1, "what")
    with pytest.raises(Refused, match=r"^mock-gpt is not a multimodal model$"):
        spoken(asked.messages, BLIND)


@pytest.mark.parametrize(
    ("part", "status", "words"),
    [
        ('{"type":"input_audio","input_audio":{}}', 400, "At most 0 audio"),
        ('{"type":"image_url","image_url":{"url":"data:image/png"}}', 400, "missing ',' separator"),
        ('{"type":"image_url","image_url":{"url":"data:image/png,x"}}', 501, "Only base64"),
        ('{"type":"image_url"}', 400, "ValidatorIterator"),
        ('{"type":"text"}', 400, "ValidatorIterator"),
        ('{"type":"smell"}', 400, "ValidatorIterator"),
    ],
)
def test_a_part_that_does_not_fit_is_refused(part: str, status: int, words: str) -> None:
    asked = chat(b'{"messages":[{"role":"user","content":[%b]}]}' % part.encode())
    with pytest.raises(Refused, match=words) as refused:
        spoken(asked.messages, SEEING)
    assert refused.value.status == status


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (b'"top_logprobs":2', "top_logprobs"),
        (b'"top_logprobs":-2,"logprobs":true', "top_logprobs"),
        (b'"top_logprobs":21,"logprobs":true', "logprobs"),
        (b'"response_format":{"type":"json_schema"}', "response_format"),
    ],
)
def test_what_does_not_go_together_is_refused_and_named(fields: bytes, param: str) -> None:
    with pytest.raises(Refused) as refused:
        chat(b'{"messages":[],%b}' % fields).checked()
    assert (refused.value.status, refused.value.param) == (400, param)


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b"{bad", "body"),
        (b"", "body"),
        (b"[1]", "body"),
        (b'{"model":"a"}', "body.messages"),
        (b'{"messages":[{"content":"a"}]}', "body.messages.0.role"),
        (b'{"messages":[],"max_tokens":"x"}', "body.max_tokens"),
        (b'{"messages":[],"model":5}', "body.model"),
    ],
)
def test_a_body_that_does_not_fit_is_a_bad_request_with_the_place(raw: bytes, param: str) -> None:
    with pytest.raises(Refused) as refused:
        chat(raw)
    assert (refused.value.status, refused.value.kind, refused.value.param) == (400, "Bad Request", param)


def test_another_content_type_is_refused() -> None:
    with pytest.raises(Refused, match="Only 'application/json' is allowed"):
        chat(b"{}", b"text/plain")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"cache_salt": ""}, "cache_salt"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": []}, "tools"),
    ],
)
def test_fields_that_do_not_go_together_are_refused_and_named(fields: dict, param: str) -> None:
    with pytest.raises(Refused) as refused:
        chat(msgspec.json.encode({"messages": [], **fields})).checked()
    assert (refused.value.kind, refused.value.param) == ("BadRequestError", param)
    assert f"(parameter={param}" in str(refused.value)


@pytest.mark.parametrize("fields", [{"stream_options": {}}, {"stream_options": None}, {"tools": None}])
def test_fields_that_say_nothing_are_fine(fields: dict) -> None:
    chat(msgspec.json.encode({"messages": [], **fields})).checked()


@pytest.mark.parametrize("prompt", [None, "", []])
def test_a_text_completion_needs_a_prompt(prompt: object) -> None:
    with pytest.raises(Refused, match="must be provided and non-empty"):
        read(msgspec.json.encode({"prompt": prompt}), JSON, decoder(Text)).checked()


def test_errors_have_an_integer_code() -> None:
    body = msgspec.json.decode(Refused(404, "no", "NotFoundError", "model").body)
    assert body == {"error": {"message": "no", "type": "NotFoundError", "param": "model", "code": 404}}

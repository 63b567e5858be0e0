"""Streams and bodies have the bytes that a real vLLM 0.32 was seen to send (its own texts and ids replaced)."""

import re

import msgspec

from ias.dev.engine import bodies, chunks
from ias.dev.engine.answers import Answer, Kind, Part
from ias.dev.engine.directives import Behaviour
from ias.dev.engine.outline import Outline

HEAD = '{"id":"abc-1","object":"chat.completion.chunk","created":1795239457,"model":"mock-gpt",'
TEXT_HEAD = '{"id":"abc-1","object":"text_completion","created":1795239457,"model":"mock-gpt",'
MARK = '"system_fingerprint":"vllm-0.32.0-mock"'
TWO = Answer(pieces=(b" quick", b" dog"), finish="length")


def outline(**changes: object) -> Outline:
    usual = Outline(
        chat=True,
        model="mock-gpt",
        answers=(TWO,),
        prompts=(26,),
        prompt_tokens=26,
        cached_tokens=0,
        created_tokens=16,
        include=True,
        continuous=True,
        top_logprobs=None,
        echo=(),
        told=Behaviour(),
    )
    return msgspec.structs.replace(usual, **changes)


def events(described: Outline) -> list[str]:
    """The events of a stream, out of their frames."""
    framed = chunks.whole(described, "abc-1", 1795239457)
    found = []
    while framed:
        size, _, framed = framed.partition(b"\r\n")
        event, framed = framed[: int(size, 16)], framed[int(size, 16) + 2 :]
        assert event.startswith(b"data: ")
        assert event.endswith(b"\n\n")
        found.append(event.decode()[6:-2])
    return found


def test_a_chat_with_running_usage_is_byte_for_byte_vllms() -> None:
    running = ',"usage":{"prompt_tokens":26,"total_tokens":%d,"completion_tokens":%d,"completion_tokens_details":null}'
    assert events(outline()) == [
        HEAD
        + '"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]'
        + running % (26, 0)
        + ',"prompt_token_ids":null,"prompt_text":null}',
        HEAD
        + '"choices":[{"index":0,"delta":{"content":" quick"},"logprobs":null,"finish_reason":null,"token_ids":null}]'
        + running % (27, 1)
        + "}",
        HEAD + '"choices":[{"index":0,"delta":{"content":" dog"},"logprobs":null,"finish_reason":"length",'
        '"stop_reason":null,"token_ids":null}]' + running % (28, 2) + "}",
        HEAD + '"choices":[],"usage":{"prompt_tokens":26,"total_tokens":28,"completion_tokens":2,'
        '"prompt_tokens_details":{"cached_tokens":0,"created_cache_tokens":16}},' + MARK + "}",
        "[DONE]",
    ]


def test_a_chat_without_usage_has_its_fingerprint_on_the_last_token() -> None:
    told = events(outline(include=False, continuous=False))
    assert not any("usage" in event for event in told)
    assert told[-2].endswith('"stop_reason":null,"token_ids":null}],' + MARK + "}")
    assert told[-1] == "[DONE]"
    assert len(told) == 4


def test_usage_alone_is_told_at_the_end_only() -> None:
    told = events(outline(continuous=False))
    assert ["usage" in event for event in told] == [False, False, False, True, False]


def test_a_text_completion_is_byte_for_byte_vllms() -> None:
    choice = '"logprobs":null,"finish_reason":%s,"stop_reason":null,"prompt_token_ids":null,"token_ids":null}],'
    assert events(outline(chat=False)) == [
        TEXT_HEAD
        + '"choices":[{"index":0,"text":" quick",'
        + choice % "null"
        + '"usage":{"prompt_tokens":26,"total_tokens":27,"completion_tokens":1}}',
        TEXT_HEAD
        + '"choices":[{"index":0,"text":" dog",'
        + choice % '"length"'
        + '"usage":{"prompt_tokens":26,"total_tokens":28,"completion_tokens":2}}',
        TEXT_HEAD + '"choices":[],"usage":{"prompt_tokens":26,"total_tokens":28,"completion_tokens":2,'
        '"prompt_tokens_details":{"cached_tokens":0}},' + MARK + "}",
        "[DONE]",
    ]


def test_choices_take_turns_and_each_runs_its_own_usage() -> None:
    told = events(outline(answers=(TWO, Answer(pieces=(b" one",), finish="stop")), prompts=(26, 26)))
    seen = [re.findall(r'"index":(\d).*"completion_tokens":(\d+)', event) for event in told[:-2]]
    assert seen == [[("0", "0")], [("1", "0")], [("0", "1")], [("1", "1")], [("0", "2")]]
    assert '"completion_tokens":3' in told[-2]


def test_a_tool_call_is_named_first_and_then_argued() -> None:
    part = Part(Kind.CALL, 0, 3, "get_weather")
    called = Answer(pieces=(b"", b'{\\"ok', b'\\":1}', b""), finish="tool_calls", parts=(part,))
    deltas = [msgspec.json.decode(event)["choices"][0]["delta"] for event in events(outline(answers=(called,)))[1:5]]
    (first,) = deltas[0]["tool_calls"]
    assert (deltas[0]["content"], first["type"], first["index"]) == (None, "function", 0)
    assert first["function"] == {"name": "get_weather"}
    assert first["id"].startswith("chatcmpl-tool-")
    assert "".join(delta["tool_calls"][0]["function"]["arguments"] for delta in deltas[1:3]) == '{"ok":1}'
    assert deltas[3] == {}


def test_a_remembered_stream_has_the_id_and_time_of_the_request() -> None:
    described = outline(answers=(Answer(pieces=(b" same",) * 9, finish="stop"),))
    first = chunks.whole(described, "chatcmpl-1", 1795239457)
    second = chunks.whole(described, "chatcmpl-2", 1795239999)
    assert second == first.replace(b"chatcmpl-1", b"chatcmpl-2").replace(b"1795239457", b"1795239999")
    assert second.count(b'"id":"chatcmpl-2"') == 11


def test_an_id_that_must_be_escaped_keeps_its_frames_right() -> None:
    described = outline(answers=(Answer(pieces=(b" odd",), finish="stop"),))
    framed = chunks.whole(described, 'a"b', 1795239457)
    size = int(framed.partition(b"\r\n")[0], 16)
    event = framed.partition(b"\r\n")[2][:size]
    assert msgspec.json.decode(event[6:])["id"] == 'a"b'


def test_a_whole_chat_is_byte_for_byte_vllms() -> None:
    assert bodies.body(outline(), "abc-1", 1795239457).decode() == (
        '{"id":"abc-1","object":"chat.completion","created":1795239457,"model":"mock-gpt","choices":[{"index":0,'
        '"message":{"role":"assistant","content":" quick dog","refusal":null,"annotations":null,"audio":null,'
        '"function_call":null,"reasoning":null},"logprobs":null,"finish_reason":"length","stop_reason":null,'
        '"token_ids":null,"routed_experts":null}],"service_tier":null,' + MARK + ',"usage":{"prompt_tokens":26,'
        '"total_tokens":28,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":0,"created_cache_tokens":16,'
        '"multimodal_tokens":null},"completion_tokens_details":null},"prompt_logprobs":null,"prompt_token_ids":null,'
        '"prompt_text":null,"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}'
    )


def test_a_whole_text_is_byte_for_byte_vllms() -> None:
    assert bodies.body(outline(chat=False), "abc-1", 1795239457).decode() == (
        '{"id":"abc-1","object":"text_completion","created":1795239457,"model":"mock-gpt","choices":[{"index":0,'
        '"text":" quick dog","logprobs":null,"finish_reason":"length","stop_reason":null,"token_ids":null,'
        '"prompt_logprobs":null,"prompt_token_ids":null,"routed_experts":null}],"service_tier":null,' + MARK + ","
        '"usage":{"prompt_tokens":26,"total_tokens":28,"completion_tokens":2,"prompt_tokens_details":'
        '{"cached_tokens":0,"created_cache_tokens":null,"multimodal_tokens":null},"completion_tokens_details":null},'
        '"kv_transfer_params":null,"ec_transfer_params":null,"metrics":null}'
    )


def test_usage_that_is_told_to_lie_does() -> None:
    five = (Answer(pieces=(b" a",) * 5, finish="stop"),)
    told = events(outline(answers=five, told=Behaviour(usage_decreases=True)))
    assert re.findall(r'"completion_tokens":(\d+)', "".join(told)) == ["0", "1", "2", "3", "2", "1", "1"]
    assert not any("usage" in event for event in events(outline(told=Behaviour(no_usage=True))))
    zero = "".join(events(outline(told=Behaviour(zero_usage=True))))
    assert set(re.findall(r'"(?:prompt|total|completion)_tokens":(\d+)', zero)) == {"0"}


def test_log_probabilities_fit_the_tokens() -> None:
    told = events(outline(top_logprobs=2))
    (entry,) = msgspec.json.decode(told[1])["choices"][0]["logprobs"]["content"]
    assert (entry["token"], entry["bytes"], len(entry["top_logprobs"])) == (" quick", list(b" quick"), 2)
    text = msgspec.json.decode(events(outline(chat=False, top_logprobs=1))[1])["choices"][0]["logprobs"]
    assert (text["tokens"], text["text_offset"]) == ([" dog"], [6])
    assert list(text) == ["text_offset", "token_logprobs", "tokens", "top_logprobs"]

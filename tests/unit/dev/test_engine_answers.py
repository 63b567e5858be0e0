"""What the engine says, and where it ends."""

import msgspec
import pytest

from ias.dev.engine.answers import Kind, compose, limit_of
from ias.dev.engine.directives import Behaviour
from ias.dev.engine.refusals import Refused
from ias.dev.engine.requests import Chat, decoder
from ias.dev.engine.structured import sample

PROMPT = b"some ink"
TOOLS = [
    {"type": "function", "function": {"name": "look", "parameters": {"required": ["at"], "properties": {"at": {}}}}},
    {"type": "function", "function": {"name": "weigh", "parameters": {"type": "object"}}},
]


def chat(**fields: object) -> Chat:
    return decoder(Chat).decode(msgspec.json.encode({"messages": [], **fields}))


def test_an_answer_of_its_own_length_ends_with_a_token_without_text() -> None:
    answer = compose(chat(), Behaviour(tokens=5), PROMPT, 0, 100)
    assert (len(answer.pieces), answer.pieces[-1], answer.finish) == (5, b"", "stop")


def test_an_answer_with_less_room_ends_by_length_and_begins_the_same() -> None:
    whole = compose(chat(), Behaviour(tokens=5), PROMPT, 0, 100)
    short = compose(chat(), Behaviour(tokens=5), PROMPT, 0, 4)
    assert (list(short.pieces), short.finish) == (list(whole.pieces[:4]), "length")


def test_an_answer_that_ignores_its_end_fills_the_room() -> None:
    answer = compose(chat(ignore_eos=True), Behaviour(tokens=5), PROMPT, 0, 40)
    assert (len(answer.pieces), answer.finish) == (40, "length")


def test_a_stop_string_ends_the_text_before_it_and_costs_its_tokens() -> None:
    whole = b"".join(compose(chat(), Behaviour(tokens=9), PROMPT, 0, 100).pieces).decode()
    stop = whole[10:13]
    answer = compose(chat(stop=["not there", stop]), Behaviour(tokens=9), PROMPT, 0, 100)
    at = whole.index(stop)
    assert b"".join(answer.pieces).decode() == whole[:at]
    assert len(answer.pieces) == -(-(at + 3) // 4)
    assert (answer.finish, answer.stop) == ("stop", stop)


@pytest.mark.parametrize(("choice", "name", "finish"), [("required", "look", "tool_calls"), ("weigh", "weigh", "stop")])
def test_a_tool_is_called_with_arguments_that_fit(choice: str, name: str, finish: str) -> None:
    wanted = choice if choice == "required" else {"type": "function", "function": {"name": choice}}
    answer = compose(chat(tools=TOOLS, tool_choice=wanted), Behaviour(), PROMPT, 0, 100)
    said = msgspec.json.decode(b'"%b"' % b"".join(answer.pieces), type=str)
    assert ([part.name for part in answer.calls], answer.finish) == ([name], finish)
    assert msgspec.json.decode(said) == ({"at": {}} if name == "look" else {})


def test_tools_are_left_alone_unless_asked_for() -> None:
    assert not compose(chat(tools=TOOLS), Behaviour(), PROMPT, 0, 100).calls
    assert not compose(chat(tools=TOOLS, tool_choice="none"), Behaviour(tool=True), PROMPT, 0, 100).calls
    (call,) = compose(chat(tools=TOOLS), Behaviour(tool=True), PROMPT, 0, 100).calls
    assert call.name == "look"


def test_a_tool_that_is_not_there_is_refused() -> None:
    asked = chat(tools=TOOLS, tool_choice={"type": "function", "function": {"name": "fly"}})
    with pytest.raises(Refused, match="does not match"):
        compose(asked, Behaviour(), PROMPT, 0, 100)


def test_a_schema_is_answered_with_json_that_fits() -> None:
    schema = {
        "type": "object",
        "required": ["name", "kind", "sizes", "inner", "way"],
        "properties": {
            "name": {"type": "string"},
            "kind": {"enum": ['a "b"', "c"]},
            "sizes": {"type": "array", "items": {"type": "integer"}, "minItems": 2},
            "inner": {"type": ["object", "null"], "required": ["ok"], "properties": {"ok": {"type": "boolean"}}},
            "way": {"anyOf": [{"const": 3}, {"type": "null"}]},
            "more": {"type": "string"},
        },
    }
    asked = chat(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": schema}})
    answer = compose(asked, Behaviour(), PROMPT, 0, 500)
    said = msgspec.json.decode(b'"%b"' % b"".join(answer.pieces), type=str)
    expected = {"name": "the one", "kind": 'a "b"', "sizes": [7, 7], "inner": {"ok": True}, "way": 3}
    assert msgspec.json.decode(said) == expected
    assert answer.pieces[-1] == b""


def test_a_schema_that_holds_itself_comes_to_an_end() -> None:
    schema: dict[str, object] = {"type": "array"}
    schema["items"] = schema
    assert isinstance(sample(schema), list)


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({}, None),
        ({"max_tokens": 5}, 5),
        ({"max_tokens": 5, "max_completion_tokens": 3}, 3),
        ({"max_tokens": None}, None),
    ],
)
def test_the_newer_of_two_limits_counts(fields: dict, limit: int | None) -> None:
    assert limit_of(chat(**fields), 100) == limit


@pytest.mark.parametrize(("fields", "param"), [({"max_tokens": 101}, "max_tokens"), ({"max_tokens": 0}, "max_tokens")])
def test_a_limit_out_of_bounds_is_refused_and_named(fields: dict, param: str) -> None:
    with pytest.raises(Refused) as refused:
        limit_of(chat(**fields), 100)
    assert (refused.value.status, refused.value.param) == (400, param)


@pytest.mark.parametrize(
    ("told", "parallel", "names"),
    [
        (Behaviour(tools=3), None, ["look", "weigh", "look"]),
        (Behaviour(tools=3), True, ["look", "weigh", "look"]),
        (Behaviour(tools=3), False, ["look"]),
        (Behaviour(tool=True), True, ["look"]),
        (Behaviour(), True, []),
    ],
)
def test_several_functions_are_called_unless_only_one_is_wanted(
    told: Behaviour, parallel: bool | None, names: list[str]
) -> None:
    answer = compose(chat(tools=TOOLS, parallel_tool_calls=parallel), told, PROMPT, 0, 100)
    assert [(part.name, part.index) for part in answer.calls] == [(name, at) for at, name in enumerate(names)]


@pytest.mark.parametrize(("room", "reasoned", "content"), [(2, 2, 0), (5, 5, 0), (6, 5, 0), (7, 5, 1), (100, 5, 3)])
def test_reasoning_comes_first_and_takes_its_share_of_the_room(room: int, reasoned: int, content: int) -> None:
    answer = compose(chat(), Behaviour(tokens=4, reasoning=5), PROMPT, 0, room)
    assert len(answer.said(Kind.REASONING)) == 4 * reasoned == 4 * answer.reasoned(len(answer.pieces))
    assert len(answer.said(None)) == 4 * content
    assert len(answer.pieces) == min(room, 5 + 1 + 4)
    assert answer.finish == ("stop" if room == 100 else "length")


def test_nobody_is_told_of_a_mark_until_something_follows_it() -> None:
    answer = compose(chat(), Behaviour(tokens=4, reasoning=5), PROMPT, 0, 100)
    assert [answer.told(at) for at in (0, 4, 5, 6, 7, 10)] == [0, 4, 5, 5, 7, 10]
    hushed = compose(chat(include_reasoning=False), Behaviour(tokens=4, reasoning=5), PROMPT, 0, 100)
    assert [hushed.told(at) for at in (0, 4, 5, 6, 7, 10)] == [0, 0, 0, 0, 7, 10]
    assert (hushed.said(Kind.REASONING), hushed.reasoned(10)) == (b"", 5)


def test_a_call_moves_behind_the_reasoning() -> None:
    answer = compose(chat(tools=TOOLS, tool_choice="required"), Behaviour(reasoning=5), PROMPT, 0, 100)
    (call,) = answer.calls
    assert (call.first, b"".join(answer.pieces[call.first : call.end])) == (6, rb"{\"at\":{}}")

"""A response's strict body: stateless, its input bounded, and what needs a store refused with what to do instead."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.contract.admission import NOT_ASKED, Ask
from ias_gateway.bodies import responses
from ias_gateway.bodies.endpoints import BY_PATH
from ias_gateway.bodies.strict import BadBody

ENDPOINT = BY_PATH[b"/v1/responses"]
encode, decode = msgspec.json.encode, msgspec.json.decode
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
PIXEL = "data:image/png;base64,iVBORw0KGgo="
PARTS = st.lists(
    st.builds(lambda text: {"type": "input_text", "text": text}, TEXTS)
    | st.just({"type": "input_image", "image_url": PIXEL, "detail": "auto"}),
    max_size=3,
)
ITEMS = (
    st.builds(lambda content: {"role": "user", "content": content}, TEXTS | PARTS)
    | st.builds(lambda text: {"type": "function_call", "call_id": "c", "name": "f", "arguments": text}, TEXTS)
    | st.builds(lambda out: {"type": "function_call_output", "call_id": "c", "output": out}, TEXTS | PARTS)
    | st.builds(lambda text: {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]}, TEXTS)
)
BODIES = st.fixed_dictionaries(
    {"model": TEXTS, "input": TEXTS.filter(bool) | st.lists(ITEMS, min_size=1, max_size=4)},
    optional={
        "instructions": TEXTS,
        "max_output_tokens": st.integers(1, 10**6),
        "tools": st.lists(st.just({"type": "function", "name": "f", "parameters": {}}), max_size=2),
        "text": st.just({"format": {"type": "json_schema", "name": "n", "schema": {}}}),
        "store": st.booleans(),
        "stream": st.booleans(),
        "metadata": st.dictionaries(TEXTS, TEXTS, max_size=2),
        "user": TEXTS,
    },
)


def body(**fields: object) -> bytes:
    return encode({"model": "m", "input": "hello", **fields})


def rebuilt(raw: bytes, output: int = 5, salt: str | None = "salt") -> dict[str, object]:
    return decode(ENDPOINT.read(raw).rebuild("upstream", output, salt))


def asked(raw: bytes) -> Ask:
    return ENDPOINT.read(raw).ask(ENDPOINT.name)


def texts_in(value: object) -> int:
    """Bytes of all strings of a JSON value but addresses of images."""
    if isinstance(value, str):
        return 0 if value == PIXEL else len(value.encode())
    if isinstance(value, dict):
        return sum(map(texts_in, value.values()))
    return sum(map(texts_in, value)) if isinstance(value, list) else 0


def images_in(value: object) -> int:
    if isinstance(value, dict):
        return ("image_url" in value) + sum(map(images_in, value.values()))
    return sum(map(images_in, value)) if isinstance(value, list) else 0


@given(BODIES)
def test_nothing_travels_that_was_not_decoded_and_nothing_is_stored(given_body: dict[str, object]) -> None:
    sent = rebuilt(encode(given_body))
    assert sent.pop("store") is False
    assert sent.pop("model") == "upstream"
    assert sent.pop("max_output_tokens") == 5
    assert sent.pop("cache_salt") == "salt"
    assert sent == {
        name: value for name, value in given_body.items() if name not in {"model", "store", "user", "max_output_tokens"}
    }


@given(BODIES)
def test_a_prompt_is_never_bounded_below_the_bytes_of_its_texts(given_body: dict[str, object]) -> None:
    ask = asked(encode(given_body))
    seen = ("input", "instructions", "tools", "text")
    assert ask.prompt >= sum(texts_in(given_body.get(name)) for name in seen)
    assert ask.images == images_in(given_body["input"])
    assert (ask.n, ask.streamed) == (1, bool(given_body.get("stream")))
    assert ask.output == given_body.get("max_output_tokens", NOT_ASKED)


def test_an_image_is_not_held_as_the_bytes_of_its_address() -> None:
    large = "data:image/png;base64," + "A" * 100_000
    ask = asked(body(input=[{"role": "user", "content": [{"type": "input_image", "image_url": large}]}]))
    assert ask.prompt < 200
    assert ask.images == 1


def test_what_is_of_no_use_to_the_engine_is_accepted_and_left_out() -> None:
    values: dict[str, object] = dict.fromkeys(responses.UNUSED, "x") | {"store": True}
    values |= {"previous_response_id": None, "background": False, "conversation": None, "prompt": None}
    assert not (values.keys() - {"store"}) & rebuilt(body(**values)).keys()


def test_of_include_only_what_an_engine_can_do_travels() -> None:
    given_body = body(include=["message.output_text.logprobs", "web_search_call.results"])
    assert rebuilt(given_body)["include"] == ["message.output_text.logprobs"]
    assert "include" not in rebuilt(body(include=["web_search_call.results"]))


@pytest.mark.parametrize(
    ("name", "value", "instead"),
    [
        ("previous_response_id", "resp_1", "earlier items in `input`"),
        ("conversation", "conv_1", "earlier items in `input`"),
        ("conversation", {"id": "conv_1"}, "earlier items in `input`"),
        ("background", True, "`stream`"),
        ("prompt", {"id": "pmpt_1"}, "`instructions`"),
    ],
)
def test_what_needs_a_store_is_refused_with_what_to_do_instead(name: str, value: object, instead: str) -> None:
    with pytest.raises(BadBody, match=instead) as refused:
        ENDPOINT.read(body(**{name: value}))
    assert refused.value.param == name


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"foo": 1}, "foo"),
        ({"priority": 1}, "priority"),
        ({"cache_salt": "x"}, "cache_salt"),
        ({"request_id": "x"}, "request_id"),
        ({"previous_input_messages": []}, "previous_input_messages"),
        ({"mm_processor_kwargs": {}}, "mm_processor_kwargs"),
        ({"input": []}, "input"),
        ({"input": ""}, "input"),
        ({"input": None}, "input"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 2**31}, "max_output_tokens"),
        ({"tools": [{"type": "function", "name": "f"}, {"type": "web_search"}]}, "tools[1].type"),
        ({"tools": [{"type": "mcp", "server_url": "http://inside"}]}, "tools[0].type"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"chat_template_kwargs": {"chat_template": "{{ x }}"}}, "chat_template_kwargs.chat_template"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, "input[0].arguments"),
        ({"input": [{"content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "x"}]}]}, None),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "http://inside/"}]}]},
            "input[0].content[0].image_url",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x", "image_url": PIXEL}]}]},
            "input[0].content[0]",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0]"),
    ],
)
def test_a_bad_field_is_named(fields: dict[str, object], param: str | None) -> None:
    with pytest.raises(BadBody) as refused:
        ENDPOINT.read(body(**fields))
    if param is not None:
        assert refused.value.param == param
    assert refused.value.message.endswith(".")


def test_an_items_type_travels_where_it_was_given() -> None:
    item = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]}
    assert rebuilt(body(input=[item]))["input"] == [item]


def test_requests_that_begin_alike_are_known_by_their_beginning() -> None:
    items = [{"role": "user", "content": "the same"}, {"role": "user", "content": "another"}]
    first, second, third = (
        ENDPOINT.read(body(**fields)).beginning()
        for fields in ({"input": items}, {"input": items[:1]}, {"input": items, "instructions": "be brief"})
    )
    assert first == second != third


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        body()[:-1] + b',"temperature":NaN}',
        body() + b"x",
        body().replace(b"hello", b"\\ud800"),
        body().replace(b"hello", b"\xff"),
        body().decode().encode("utf-16"),
        body()[:-1] + b',"reasoning":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        body()[:-1] + b',"seed":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_not_strict_json_is_refused(raw: bytes) -> None:
    with pytest.raises(BadBody):
        ENDPOINT.read(raw)


def test_of_two_keys_the_last_counts_and_only_one_travels() -> None:
    sent = ENDPOINT.read(b'{"model":"a","\\u006dodel":"b","input":"x","\\u0069nput":"y"}')
    assert sent.ask(ENDPOINT.name).model == "b"
    raw = sent.rebuild("upstream", 1, None)
    assert raw.count(b'"model"') == raw.count(b'"input"') == 1
    assert b'"y"' in raw


def test_what_an_item_has_of_no_use_to_the_engine_is_left_out() -> None:
    part = {"type": "output_text", "text": "x", "annotations": [{"type": "file_citation"}], "logprobs": [{}]}
    mark = {"prompt_cache_breakpoint": {"mode": "explicit"}}
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    sent = rebuilt(
        body(
            input=[
                {"type": "message", "role": "assistant", "content": [part | mark]},
                call | {"caller": {"type": "direct"}, "async": True},
            ]
        )
    )
    assert sent["input"] == [
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x", "annotations": []}]},
        call,
    ]

"""The strict body: what is refused, by which name, and that only what was decoded travels."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.contract.admission import NO_OUTPUT, NOT_ASKED, Ask
from ias_gateway.bodies import chat_fields, messages, prompts, strict
from ias_gateway.bodies.endpoints import BY_PATH, Endpoint
from ias_gateway.bodies.prompts import SPECIAL
from ias_gateway.bodies.strict import OF_THE_ENGINE, BadBody

CHAT, TEXT, EMBEDDINGS = (BY_PATH[path] for path in (b"/v1/chat/completions", b"/v1/completions", b"/v1/embeddings"))
encode, decode = msgspec.json.encode, msgspec.json.decode
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
PIXEL = "data:image/png;base64,iVBORw0KGgo="
PARTS = (
    st.builds(lambda text: {"type": "text", "text": text}, TEXTS)
    | st.builds(lambda text: {"type": "refusal", "refusal": text}, TEXTS)
    | st.just({"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}})
)
CALLS = st.fixed_dictionaries(
    {"id": TEXTS, "type": st.just("function"), "function": st.fixed_dictionaries({"name": TEXTS, "arguments": TEXTS})}
)
MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["developer", "system", "user", "assistant", "tool", "function"])},
    optional={
        "content": st.none() | TEXTS | st.lists(PARTS, max_size=3),
        "name": TEXTS,
        "refusal": TEXTS,
        "reasoning": TEXTS,
        "tool_calls": st.lists(CALLS, max_size=2),
        "tool_call_id": TEXTS,
    },
)
CHATS = st.fixed_dictionaries(
    {"model": TEXTS, "messages": st.lists(MESSAGES, min_size=1, max_size=4)},
    optional={
        "max_tokens": st.integers(1, 10**6),
        "n": st.integers(1, 128),
        "stream": st.booleans(),
        "temperature": st.floats(0, 2),
        "tools": st.lists(st.dictionaries(TEXTS, JSON, max_size=3), max_size=2),
        "chat_template_kwargs": st.dictionaries(TEXTS.filter(lambda name: name not in OF_THE_ENGINE), JSON, max_size=2),
        "metadata": st.dictionaries(TEXTS, TEXTS, max_size=2),
        "user": TEXTS,
        "store": st.booleans(),
    },
)


def chat(**fields: object) -> bytes:
    return encode({"model": "m", "messages": [{"role": "user", "content": "hi"}]} | fields)


def rebuilt(raw: bytes, endpoint: Endpoint = CHAT, output: int = 5, salt: str | None = "salt") -> dict[str, object]:
    return decode(endpoint.read(raw).rebuild("upstream", output, salt))


def texts_in(value: object) -> int:
    """Bytes of all strings in a JSON value, keys included."""
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, dict):
        return sum(map(texts_in, value)) + sum(map(texts_in, value.values()))
    return sum(map(texts_in, value)) if isinstance(value, list) else 0


def without_nulls(value: object) -> object:
    """A JSON value less the fields of objects that are null: to the engine, they are the same as absent."""
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


def asked_by(raw: bytes, endpoint: Endpoint = CHAT) -> Ask:
    return endpoint.read(raw).ask(endpoint.name)


def passes(endpoint: Endpoint, raw: bytes) -> bytes | None:
    """What travels, None where the body is refused in words."""
    try:
        body = endpoint.read(raw)
        body.ask(endpoint.name)
        return body.rebuild("upstream", 1, "salt")
    except BadBody as refused:
        return None if refused.message else b""


# -- what travels ------------------------------------------------------------------------------------------------------


@given(CHATS)
def test_nothing_travels_that_was_not_decoded(given_body: dict[str, object]) -> None:
    sent = rebuilt(encode(given_body))
    ours = {"model", "max_completion_tokens", "cache_salt", "stream_options"}
    for name, value in sent.items():
        assert name in ours or without_nulls(value) == without_nulls(given_body[name]), name
    assert sent["model"] == "upstream"
    assert sent["max_completion_tokens"] == 5
    assert sent["cache_salt"] == "salt"
    assert not {"max_tokens", "user", "metadata", "store"} & sent.keys()
    if given_body.get("stream"):
        assert sent["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}
    else:
        assert "stream_options" not in sent


@given(CHATS)
def test_a_prompt_is_never_bounded_below_the_bytes_of_its_text(given_body: dict[str, object]) -> None:
    asked = asked_by(encode(given_body))
    least = 0
    for message in given_body["messages"]:
        content = message.get("content")
        least += messages.OVERHEAD + sum(
            texts_in(value) for name, value in message.items() if name not in {"role", "content"}
        )
        if isinstance(content, str):
            least += texts_in(content)
        elif content:
            least += sum(texts_in(part.get(name)) for part in content for name in ("text", "refusal"))
    least += texts_in(given_body.get("tools")) + texts_in(given_body.get("chat_template_kwargs"))
    assert asked.prompt >= least


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_the_bound_of_texts_is_their_bytes_and_what_a_tokenizer_puts_around_them(prompts: list[str]) -> None:
    asked = asked_by(encode({"model": "m", "prompt": prompts, "n": 2, "max_tokens": 7}), TEXT)
    assert (asked.prompt, asked.n, asked.output) == (
        sum(map(texts_in, prompts)) + SPECIAL * len(prompts),
        2 * len(prompts),
        7,
    )


def test_of_two_keys_the_last_counts_and_only_one_travels() -> None:
    raw = b'{"model":"a","\\u006dodel":"b","messages":[{"role":"user","content":"x","content":"y"}]}'
    read = CHAT.read(raw)
    assert read.ask(CHAT.name).model == "b"
    sent = read.rebuild("upstream", 1, None)
    assert sent.count(b'"model"') == sent.count(b'"content"') == 1
    assert b'"y"' in sent


def test_the_salt_is_left_out_where_the_route_has_none() -> None:
    assert "cache_salt" not in rebuilt(chat(), salt=None)


def test_stream_options_of_the_client_are_replaced_by_our_own() -> None:
    sent = rebuilt(chat(stream=True, stream_options={"include_usage": False, "include_obfuscation": True}))
    assert sent["stream_options"] == {"include_usage": True, "continuous_usage_stats": True}


def test_what_is_of_no_use_to_the_engine_is_accepted_and_left_out() -> None:
    words = ("service_tier", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "verbosity")
    objects = ("metadata", "audio", "prediction", "web_search_options", "prompt_cache_options", "moderation")
    values: dict[str, object] = {"store": True, "modalities": [], "functions": [], "function_call": "auto"}
    values |= dict.fromkeys(words, "x") | {name: {} for name in objects}
    assert set(values) == set(chat_fields.UNUSED)
    assert not values.keys() & rebuilt(chat(**values)).keys()


def test_the_granted_output_replaces_what_was_asked_for_everywhere() -> None:
    sent = rebuilt(chat(max_tokens=100, max_completion_tokens=200), output=7)
    assert sent["max_completion_tokens"] == 7
    assert "max_tokens" not in sent
    assert rebuilt(encode({"model": "m", "prompt": "x", "max_tokens": 100}), TEXT, 7)["max_tokens"] == 7


def test_embeddings_travel_without_limits() -> None:
    raw = encode({"model": "m", "input": ["a", "bc"], "user": "u", "dimensions": 4})
    sent = {"model": "upstream", "input": ["a", "bc"], "dimensions": 4}
    assert rebuilt(raw, EMBEDDINGS) == {**sent, "cache_salt": "salt"}
    assert rebuilt(raw, EMBEDDINGS, salt=None) == sent
    asked = asked_by(raw, EMBEDDINGS)
    assert (asked.prompt, asked.n, asked.output, asked.streamed) == (3 + 2 * SPECIAL, 1, NO_OUTPUT, False)


@pytest.mark.parametrize("one", ["", "a", [1], []])
def test_embeddings_take_so_many_inputs_and_no_more(one: object) -> None:
    assert asked_by(encode({"model": "m", "input": [one] * 2048}), EMBEDDINGS).prompts == 2048
    with pytest.raises(BadBody, match="input: 2049 inputs are given at once; 2048 are the most") as refused:
        asked_by(encode({"model": "m", "input": [one] * 2049}), EMBEDDINGS)
    assert refused.value.param == "input"


def test_an_input_of_many_tokens_is_one() -> None:
    asked = asked_by(encode({"model": "m", "input": [7] * 5000}), EMBEDDINGS)
    assert (asked.prompt, asked.prompts) == (5000, 1)


# -- what is asked -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "output"),
    [
        ({}, NOT_ASKED),
        ({"max_tokens": 9}, 9),
        ({"max_completion_tokens": 8}, 8),
        ({"max_tokens": 9, "max_completion_tokens": 8}, 8),
    ],
)
def test_the_newer_output_limit_counts_before_the_older(fields: dict[str, object], output: int) -> None:
    assert asked_by(chat(**fields)).output == output


@pytest.mark.parametrize(
    ("prompt", "bound", "count"),
    [
        ("héllo", 6 + SPECIAL, 1),
        ([1, 2, 3], 3, 1),
        ([[1, 2], [3]], 3, 2),
        (["a", "bb"], 3 + 2 * SPECIAL, 2),
    ],
)
def test_prompts_may_be_text_or_tokens(prompt: object, bound: int, count: int) -> None:
    asked = asked_by(encode({"model": "m", "prompt": prompt, "best_of": 3}), TEXT)
    assert (asked.prompt, asked.n) == (bound, 3 * count)


def test_everything_of_an_assistant_message_that_a_template_may_print_is_bounded() -> None:
    plain = asked_by(encode({"model": "m", "messages": [{"role": "assistant"}]})).prompt
    call = {"name": "f", "arguments": "{}" * 50}
    full = {
        "role": "assistant",
        "name": "n" * 10,
        "reasoning": "r" * 10,
        "reasoning_content": "c" * 10,
        "tool_call_id": "i" * 10,
        "function_call": call,
        "tool_calls": [{"id": "1", "type": "function", "function": call}],
    }
    asked = asked_by(encode({"model": "m", "messages": [full]}))
    assert asked.prompt >= plain + 40 + 2 * 100


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        (None, (False, False)),
        ({}, (False, False)),
        ({"include_usage": False, "continuous_usage_stats": True}, (False, False)),
        ({"include_usage": True}, (True, False)),
        ({"include_usage": True, "continuous_usage_stats": True}, (True, True)),
    ],
)
def test_a_client_gets_the_usage_that_it_asked_for(options: dict[str, object], wanted: tuple[bool, bool]) -> None:
    assert CHAT.read(chat(stream=True, stream_options=options)).wants_usage() == wanted


def test_embeddings_never_tell_running_usage() -> None:
    assert EMBEDDINGS.read(b'{"model":"m","input":"x"}').wants_usage() == (False, False)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (chat(), chat(temperature=1), True),
        (chat(), chat(messages=[{"role": "user", "content": "other"}]), False),
        (
            chat(messages=[{"role": "system", "content": "s" * 9999}, {"role": "user", "content": "a"}]),
            chat(messages=[{"role": "system", "content": "s" * 9999}, {"role": "user", "content": "b"}]),
            False,
        ),
        (
            chat(messages=[{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]),
            chat(messages=[{"role": "system", "content": "s"}, {"role": "user", "content": "b"}]),
            False,
        ),
        (
            chat(messages=[{"role": "user", "content": [{"type": "text", "text": "a"}]}]),
            chat(messages=[{"role": "user", "content": [{"type": "text", "text": "b"}]}]),
            False,
        ),
        (
            chat(messages=[{"role": "system", "content": "s"}, {"role": "user", "content": "a"}]),
            chat(
                messages=[
                    {"role": "system", "content": "s"},
                    {"role": "user", "content": "a"},
                    {"role": "assistant", "content": "b"},
                    {"role": "user", "content": "c"},
                ]
            ),
            True,
        ),
        (
            chat(messages=[{"role": "user", "content": "a"}]),
            chat(messages=[{"role": "user", "content": "a"}, {"role": "assistant"}, {"role": "user", "content": "b"}]),
            True,
        ),
        (
            chat(messages=[{"role": "user", "content": "a" * 9999 + "b"}]),
            chat(messages=[{"role": "user", "content": "a" * 9999 + "c"}]),
            True,
        ),
        (
            chat(messages=[{"role": "assistant"}] * 4),
            chat(messages=[{"role": "assistant"}] * 4 + [{"role": "user", "content": "a"}]),
            True,
        ),
    ],
)
def test_prompts_that_begin_alike_are_known_by_their_beginning(one: bytes, other: bytes, shared: bool) -> None:
    first, second = (CHAT.read(raw).beginning() for raw in (one, other))
    assert (first == second) == shared
    assert len(first) <= 4 * prompts.BEGINNING_BYTES


@pytest.mark.parametrize("given", ["text", [1, 2, 3], [[1, 2], [3]], ["a", "b"]])
def test_the_beginning_of_tokens_is_as_good_as_that_of_text(given: object) -> None:
    text = TEXT.read(encode({"model": "m", "prompt": given})).beginning()
    vectors = EMBEDDINGS.read(encode({"model": "m", "input": given})).beginning()
    other = TEXT.read(encode({"model": "m", "prompt": "x"})).beginning()
    assert text == vectors != other


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (chat(foo=1), "foo"),
        (chat(priority=1), "priority"),
        (chat(cache_salt="x"), "cache_salt"),
        (chat(request_id="x"), "request_id"),
        (chat(kv_transfer_params={}), "kv_transfer_params"),
        (chat(chat_template="x"), "chat_template"),
        (chat(prompt_embeds="x"), "prompt_embeds"),
        (chat(messages=[{"role": "user", "content": "x", "nope": 1}]), "messages[0].nope"),
        (chat(messages=[{"role": "user", "content": [{"type": "text", "nope": 1}]}]), "messages[0].content[0].nope"),
        (chat(stream=True, stream_options={"nope": 1}), "stream_options.nope"),
        (b'{"messages":[{"role":"user","content":"x"}]}', "model"),
        (chat(messages=[{"content": "x"}]), "messages[0].role"),
        (chat(messages=[{"role": "robot", "content": "x"}]), "messages[0].role"),
        (chat(temperature="hot"), "temperature"),
        (chat(messages=[]), "messages"),
        (chat(max_tokens=0), "max_tokens"),
        (chat(max_tokens=2**31), "max_tokens"),
        (chat(max_completion_tokens=-1), "max_completion_tokens"),
        (chat(max_completion_tokens=10**18), "max_completion_tokens"),
        (chat(n=0), "n"),
        (chat(n=129), "n"),
        (chat(stream_options={"include_usage": True}), "stream_options"),
    ],
)
def test_a_bad_field_is_named_with_its_path(raw: bytes, param: str) -> None:
    with pytest.raises(BadBody) as refused:
        CHAT.read(raw)
    assert refused.value.param == param
    assert param in refused.value.message


@pytest.mark.parametrize("prompt", [[], ["a", 1], [1, "a"], [[1], "a"]])
def test_prompts_of_mixed_kinds_are_refused(prompt: object) -> None:
    read = TEXT.read(encode({"model": "m", "prompt": prompt}))
    with pytest.raises(BadBody) as refused:
        read.ask(TEXT.name)
    assert refused.value.param == "prompt"


@pytest.mark.parametrize("best_of", [0, -5, 129, 10**18])
def test_a_best_of_that_multiplies_without_end_is_refused(best_of: int) -> None:
    with pytest.raises(BadBody, match="best_of"):
        TEXT.read(encode({"model": "m", "prompt": "x", "best_of": best_of}))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"null",
        b"nope",
        b"{",
        b'{"model":"m"',
        chat()[:-1] + b',"temperature":NaN}',
        chat()[:-1] + b',"temperature":Infinity}',
        chat()[:-1] + b',"temperature":1e400}',
        chat()[:-1] + b',"seed":' + b"9" * 5000 + b"}",
        chat() + b"x",
        b"\xef\xbb\xbf" + chat(),
        chat().decode().encode("utf-16"),
        chat().replace(b"hi", b"\xff\xfe"),
        chat().replace(b"hi", b"\\ud800"),
        chat().replace(b"hi", b"\xed\xa0\x80"),
        chat()[:-1] + b',"chat_template_kwargs":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
        chat()[:-1] + b',"chat_template_kwargs":{"a":' + b'{"b":' * 50_000,
    ],
)
def test_what_is_not_strict_json_is_refused_and_never_raises_otherwise(raw: bytes) -> None:
    with pytest.raises(BadBody) as refused:
        CHAT.read(raw)
    assert refused.value.message.endswith(".")


@given(st.binary(max_size=200) | JSON.map(encode), st.sampled_from([CHAT, TEXT, EMBEDDINGS]))
def test_any_bytes_are_read_or_refused(raw: bytes, endpoint: Endpoint) -> None:
    assert passes(endpoint, raw) is None or decode(raw)["model"]


@given(CHATS, st.integers(0, 10**6), st.binary(min_size=1, max_size=3))
def test_a_body_with_some_bytes_changed_is_read_or_refused(
    given_body: dict[str, object], place: int, other: bytes
) -> None:
    raw = encode(given_body)
    at = place % len(raw)
    sent = passes(CHAT, raw[:at] + other + raw[at + len(other) :])
    assert sent is None or decode(sent)["model"] == "upstream"


@given(st.lists(st.dictionaries(st.text(), st.text()), min_size=1))
def test_documents_that_a_template_may_print_are_held(documents: list[dict[str, str]]) -> None:
    assert asked_by(chat(documents=documents)).prompt >= asked_by(chat()).prompt + texts_in(documents)


@pytest.mark.parametrize("depth", [1, strict.MAX_DEPTH, strict.MAX_DEPTH + 1, 500, 990, 3000])
@pytest.mark.parametrize(
    "field", ["chat_template_kwargs", "response_format", "structured_outputs", "tools", "tool_choice"]
)
def test_deep_nesting_is_refused_or_travels_whole(depth: int, field: str) -> None:
    wrapped = 1 if field == "tools" else 0
    lists = depth - 1 - wrapped  # the object, and the list of tools, are levels too
    nested = b'{"a":' + b"[" * lists + b"]" * lists + b"}" if lists > 0 else b"{}"
    sent = passes(CHAT, chat()[:-1] + b',"%b":%b}' % (field.encode(), b"[%b]" % nested if wrapped else nested))
    if depth > strict.MAX_DEPTH:
        assert sent is None
    else:
        assert sent is not None
        assert sent.count(b"[") == max(0, lists) + 1 + wrapped


def test_what_cannot_be_written_anew_is_refused_like_what_cannot_be_read() -> None:
    value: list[object] = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(BadBody, match="too deeply"):
        strict.encode(value)

"""Rerank, score and the tokenizers: what they hold, what travels, what is refused."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.contract.admission import NO_OUTPUT, NO_TOKENS, Ask
from ias_gateway.bodies.endpoints import BY_PATH, Endpoint
from ias_gateway.bodies.messages import OVERHEAD
from ias_gateway.bodies.pooling import PAIRS
from ias_gateway.bodies.strict import BadBody

RERANK, SCORE, TOKENIZE, DETOKENIZE = (
    BY_PATH[path] for path in (b"/v1/rerank", b"/v1/score", b"/tokenize", b"/detokenize")
)
encode, decode = msgspec.json.encode, msgspec.json.decode
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
PIXEL = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


def asked(endpoint: Endpoint, **fields: object) -> Ask:
    return endpoint.read(encode({"model": "m", **fields})).ask(endpoint.name)


def rebuilt(endpoint: Endpoint, salt: str | None = "salt", **fields: object) -> dict[str, object]:
    return decode(endpoint.read(encode({"model": "m", **fields})).rebuild("upstream", 0, salt))


def test_vllms_other_paths_are_the_same_endpoints() -> None:
    assert BY_PATH[b"/rerank"] is BY_PATH[b"/v2/rerank"] is RERANK
    assert BY_PATH[b"/score"] is SCORE


@given(TEXTS, st.lists(TEXTS, min_size=1, max_size=5))
def test_a_query_is_held_once_for_every_document(query: str, documents: list[str]) -> None:
    ask = asked(RERANK, query=query, documents=documents)
    least = len(documents) * (len(query.encode()) + OVERHEAD) + sum(len(one.encode()) for one in documents)
    assert (ask.prompt, ask.n, ask.output, ask.images) == (least, 1, NO_OUTPUT, 0)


@pytest.mark.parametrize("names", PAIRS)
def test_a_score_has_one_pair_of_names(names: tuple[str, str]) -> None:
    one, other = names
    assert asked(SCORE, **{one: "ab", other: ["c", "de"]}).prompt == 2 * (2 + OVERHEAD) + 3
    assert asked(SCORE, **{one: ["ab", "c"], other: ["c", "de"]}).prompt == 2 * OVERHEAD + 6
    assert asked(SCORE, **{one: "a", other: "b"}).prompt == OVERHEAD + 2


def test_what_a_template_may_print_is_held_for_every_pair() -> None:
    plain = asked(RERANK, query="q", documents=["a", "b"]).prompt
    more = asked(RERANK, query="q", documents=["a", "b"], instruction="i" * 10, chat_template_kwargs={"k": "v" * 10})
    assert more.prompt >= plain + 2 * 20


def test_images_are_counted_with_every_pair_that_they_are_in() -> None:
    picture = {"content": [PIXEL, {"type": "text", "text": "t"}]}
    assert asked(RERANK, query=picture, documents=["a", picture]).images == 3
    assert rebuilt(RERANK, query=picture, documents=["a"])["query"] == picture


def test_what_travels_is_what_was_decoded_with_the_tenants_salt() -> None:
    fields = {"query": "q", "documents": ["a", "b"], "top_n": 1, "max_tokens_per_doc": 9}
    assert rebuilt(RERANK, **fields, user="u", return_documents=True) == {
        **fields,
        "model": "upstream",
        "cache_salt": "salt",
    }
    assert rebuilt(SCORE, None, queries="a", items=["b"]) == {"model": "upstream", "queries": "a", "items": ["b"]}


def test_pools_are_not_streamed_and_begin_with_their_query() -> None:
    one, other = (RERANK.read(encode({"model": "m", "query": q, "documents": ["a"]})) for q in ("x", "y"))
    assert one.wants_usage() == (False, False)
    assert one.beginning() != other.beginning()


@pytest.mark.parametrize(
    ("endpoint", "fields", "param"),
    [
        (RERANK, {"query": "q", "documents": []}, "documents"),
        (RERANK, {"query": "q"}, "documents"),
        (RERANK, {"query": "q", "documents": ["a"], "priority": 1}, "priority"),
        (RERANK, {"query": "q", "documents": ["a"], "cache_salt": "x"}, "cache_salt"),
        (RERANK, {"query": "q", "documents": ["a"], "padding": "max_length"}, "padding"),
        (RERANK, {"query": 5, "documents": ["a"]}, "query"),
        (RERANK, {"query": {"content": [{"type": "text"}]}, "documents": ["a"]}, "content[0]"),
        (
            RERANK,
            {"query": "q", "documents": ["a"], "chat_template_kwargs": {"chat_template": "x"}},
            "chat_template_kwargs.chat_template",
        ),
        (SCORE, {}, "queries"),
        (SCORE, {"queries": "a"}, "queries"),
        (SCORE, {"queries": "a", "documents": "b", "items": "c"}, "queries"),
        (SCORE, {"queries": "a", "text_2": "b"}, "queries"),
        (SCORE, {"queries": ["a", "b"], "documents": ["c", "d", "e"]}, "queries"),
        (SCORE, {"queries": [], "documents": []}, "queries"),
        (TOKENIZE, {}, "prompt"),
        (TOKENIZE, {"prompt": "x", "messages": [{"role": "user", "content": "x"}]}, "prompt"),
        (TOKENIZE, {"messages": []}, "messages"),
        (TOKENIZE, {"messages": [{"role": "user", "content": [PIXEL]}]}, "messages"),
        (TOKENIZE, {"prompt": "x", "chat_template": "x"}, "chat_template"),
        (TOKENIZE, {"prompt": "x", "mm_processor_kwargs": {}}, "mm_processor_kwargs"),
        (DETOKENIZE, {}, "tokens"),
        (DETOKENIZE, {"tokens": [-1]}, "tokens[0]"),
        (DETOKENIZE, {"tokens": [2**63]}, "tokens[0]"),
        (DETOKENIZE, {"tokens": "x"}, "tokens"),
    ],
)
def test_a_bad_field_is_named(endpoint: Endpoint, fields: dict[str, object], param: str) -> None:
    with pytest.raises(BadBody) as refused:
        endpoint.read(encode({"model": "m", **fields}))
    assert refused.value.param == param
    assert refused.value.message.endswith(".")


@pytest.mark.parametrize("endpoint", [RERANK, SCORE, TOKENIZE, DETOKENIZE])
@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b"\xff", b'{"model":"\\ud800"}', b'{"model":' + b"[" * 100_000])
def test_what_is_not_strict_json_is_refused(endpoint: Endpoint, raw: bytes) -> None:
    with pytest.raises(BadBody):
        endpoint.read(raw)


@pytest.mark.parametrize(
    ("endpoint", "fields"),
    [
        (TOKENIZE, {"prompt": "x" * 1000, "add_special_tokens": False, "return_token_strs": True}),
        (TOKENIZE, {"messages": [{"role": "user", "content": "x" * 1000}], "add_generation_prompt": True}),
        (DETOKENIZE, {"tokens": list(range(1000))}),
    ],
)
def test_tokenizers_hold_nothing_and_cost_nothing(endpoint: Endpoint, fields: dict[str, object]) -> None:
    ask = asked(endpoint, **fields)
    assert (ask.prompt, ask.n, ask.output, ask.streamed) == (0, 1, NO_TOKENS, False)
    assert endpoint.reported(b'{"count":5}') == (0, 0, 0)
    assert rebuilt(endpoint, **fields) == {"model": "upstream", **fields}
    body = endpoint.read(encode({"model": "m", **fields}))
    assert (body.wants_usage(), body.beginning()) == ((False, False), b"")


@given(st.binary(max_size=200), st.sampled_from([RERANK, SCORE, TOKENIZE, DETOKENIZE]))
def test_any_bytes_are_read_or_refused(raw: bytes, endpoint: Endpoint) -> None:
    with contextlib.suppress(BadBody):
        assert endpoint.read(raw).ask(endpoint.name).n == 1

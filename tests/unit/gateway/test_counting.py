"""What an engine is asked when a prompt is to be counted, and what its answer leaves out."""

import msgspec
import pytest

from ias_gateway.bodies import chat, embeddings, text
from ias_gateway.bodies.body import Body
from ias_gateway.counting import question


def told(body: Body) -> tuple[dict[str, object], int]:
    found = question(body, "inner")
    assert found is not None
    return msgspec.json.decode(found[0]), found[1]


def a_chat(**more: object) -> chat.ChatBody:
    messages = [{"role": "user", "content": "hello"}]
    return chat.read(msgspec.json.encode({"model": "m", "messages": messages, **more}))


def test_of_a_chat_all_is_asked_that_its_template_prints() -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    asked, _ = told(a_chat(tools=tools, add_generation_prompt=True, chat_template_kwargs={"thinking": True}))
    assert asked == {
        "model": "inner",
        "messages": [{"role": "user", "content": "hello"}],
        "tools": tools,
        "add_generation_prompt": True,
        "chat_template_kwargs": {"thinking": True},
    }


def test_what_the_tokenizer_cannot_be_told_is_added_as_its_bound() -> None:
    plain = told(a_chat())[1]
    schema = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}
    assert told(a_chat(response_format=schema))[1] > plain + len(msgspec.json.encode(schema))
    assert told(a_chat(reasoning_effort="high"))[1] > plain


def test_of_a_text_its_prompt_is_asked() -> None:
    asked, more = told(text.read(b'{"model":"m","prompt":"hello"}'))
    assert asked == {"model": "inner", "prompt": "hello"}
    assert more > 0


@pytest.mark.parametrize("prompt", [b'["a","b"]', b"[1,2]", b"[[1],[2]]"])
def test_several_prompts_and_prompts_of_tokens_are_not_asked_about(prompt: bytes) -> None:
    assert question(text.read(b'{"model":"m","prompt":%b}' % prompt), "inner") is None


def test_images_and_inputs_to_embed_are_not_asked_about() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [{"role": "user", "content": [image]}]
    assert question(chat.read(msgspec.json.encode({"model": "m", "messages": messages})), "inner") is None
    assert question(embeddings.read(b'{"model":"m","input":"a"}'), "inner") is None

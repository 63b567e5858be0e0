"""Every field that OpenAI documents is accepted: the lists are the official SDK's own, so that a new one fails here."""

import importlib
import re
import typing
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from ias_gateway.bodies import chat_fields, items, messages, parts, pooling, responses, transcriptions
from ias_gateway.bodies.embeddings import Embeddings
from ias_gateway.bodies.responses import STATEFUL, Responses
from ias_gateway.bodies.sampling import StreamOptions
from ias_gateway.bodies.text import Text
from ias_gateway.bodies.tokenizers import Tokenize

TYPES = "openai.types"
DOCUMENT = Path(__file__).parents[3] / "docs/openai-surface.md"


def names(module: str, typed_dict: str) -> set[str]:
    """The fields of one of the SDK's TypedDicts."""
    return set(typing.get_type_hints(getattr(importlib.import_module(f"{TYPES}.{module}"), typed_dict)))


def ours(struct: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(struct)}


@pytest.mark.parametrize(
    ("module", "typed_dict", "accepted"),
    [
        ("chat.completion_create_params", "CompletionCreateParamsStreaming", ours(chat_fields.Chat)),
        ("completion_create_params", "CompletionCreateParamsStreaming", ours(Text)),
        ("embedding_create_params", "EmbeddingCreateParams", ours(Embeddings)),
        ("responses.response_create_params", "ResponseCreateParamsStreaming", ours(Responses)),
        (
            "audio.transcription_create_params",
            "TranscriptionCreateParamsStreaming",
            {name.removesuffix("[]") for name in ours(transcriptions.Transcription)} | transcriptions.UNUSED | {"file"},
        ),
        ("chat.chat_completion_stream_options_param", "ChatCompletionStreamOptionsParam", ours(StreamOptions)),
        ("chat.chat_completion_content_part_text_param", "ChatCompletionContentPartTextParam", ours(parts.Part)),
        ("chat.chat_completion_content_part_image_param", "ChatCompletionContentPartImageParam", ours(parts.Part)),
        ("chat.chat_completion_content_part_image_param", "ImageURL", ours(parts.Image)),
        ("chat.chat_completion_content_part_refusal_param", "ChatCompletionContentPartRefusalParam", ours(parts.Part)),
        ("chat.chat_completion_message_function_tool_call_param", "Function", ours(messages.FunctionCall)),
        ("responses.response_input_text_param", "ResponseInputTextParam", ours(items.ItemPart)),
        ("responses.response_output_text_param", "ResponseOutputTextParam", ours(items.ItemPart)),
        ("responses.response_output_refusal_param", "ResponseOutputRefusalParam", ours(items.ItemPart)),
        ("responses.easy_input_message_param", "EasyInputMessageParam", ours(items.Item)),
        ("responses.response_output_message_param", "ResponseOutputMessageParam", ours(items.Item)),
        ("responses.response_function_tool_call_param", "ResponseFunctionToolCallParam", ours(items.Item)),
        ("responses.response_custom_tool_call_param", "ResponseCustomToolCallParam", ours(items.Item)),
        ("responses.response_input_item_param", "FunctionCallOutput", ours(items.Item)),
        ("responses.response_reasoning_item_param", "ResponseReasoningItemParam", ours(items.Item)),
    ],
)
def test_every_documented_field_is_accepted(module: str, typed_dict: str, accepted: set[str]) -> None:
    documented = names(module, typed_dict)
    assert documented
    assert documented - accepted == set()


@pytest.mark.parametrize("role", ["developer", "system", "user", "assistant", "tool", "function"])
def test_every_documented_field_of_a_message_is_accepted(role: str) -> None:
    module = f"chat.chat_completion_{role}_message_param"
    assert names(module, f"ChatCompletion{role.title()}MessageParam") - ours(messages.Message) == set()


def described() -> Iterator[tuple[str, set[str]]]:
    yield "chat", set(chat_fields.UNUSED)
    yield "responses", set(responses.UNUSED) | set(STATEFUL)


@pytest.mark.parametrize(("family", "left_out"), described())
def test_what_is_left_out_is_what_openai_documents(family: str, left_out: set[str]) -> None:
    module = {"chat": "chat.completion_create_params", "responses": "responses.response_create_params"}[family]
    typed_dict = {"chat": "CompletionCreateParamsStreaming", "responses": "ResponseCreateParamsStreaming"}[family]
    assert left_out <= names(module, typed_dict)


@pytest.mark.parametrize(
    "struct",
    [
        chat_fields.Chat,
        Text,
        Embeddings,
        Responses,
        pooling.Rerank,
        pooling.Score,
        Tokenize,
        transcriptions.Transcription,
    ],
)
def test_every_field_that_is_accepted_is_in_the_documentation(struct: type[msgspec.Struct]) -> None:
    documented = set(re.findall(r"`([a-z_0-9]+(?:\[\])?)[^`]*`", DOCUMENT.read_text()))
    assert ours(struct) - documented == set()


def test_what_is_usual_in_a_chat_is_read_as_it_is_among_all_fields() -> None:
    usual, whole = map(typing.get_type_hints, (chat_fields.Usual, chat_fields.Chat))
    assert usual.items() <= whole.items()
    sampling = set(chat_fields.Usual.__struct_fields__) & set(Text.__struct_fields__)
    assert {name: usual[name] for name in sampling - {"response_format"}}.items() <= typing.get_type_hints(Text).items()

"""A model in GGUF, as the files that vLLM loads."""

import msgspec
import pytest

from ias.dev.vllm import tensors, tokenizer
from ias.dev.vllm.tensors import Llama
from ias.dev.vllm.tokenizer import Tokenizer

SMALL = Llama(
    layers=1,
    context=64,
    width=8,
    inner=16,
    heads=2,
    kv_heads=1,
    rope=10_000.0,
    epsilon=1e-5,
    vocabulary=4,
    begin=1,
    end=2,
)
METADATA: dict[str, object] = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": ["<none>", "<begin>", "<end>", "a", "b", "ab"],
    "tokenizer.ggml.token_type": [3, 3, 3, 1, 1, 1],
    "tokenizer.ggml.merges": ["a b"],
    "tokenizer.ggml.bos_token_id": 1,
    "tokenizer.ggml.eos_token_id": 2,
    "tokenizer.ggml.unknown_token_id": 0,
    "tokenizer.ggml.padding_token_id": 2,
    "tokenizer.chat_template": "{{ messages }}",
    "llama.context_length": 64,
    "general.name": "something that is not asked for",
}


def words(**changes: object) -> Tokenizer:
    return msgspec.convert(METADATA | {f"tokenizer.ggml.{name}": value for name, value in changes.items()}, Tokenizer)


@pytest.mark.parametrize(
    ("gguf", "transformers"),
    [
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("output_norm.weight", "model.norm.weight"),
        ("blk.12.attn_q.weight", "model.layers.12.self_attn.q_proj.weight"),
        ("blk.0.ffn_norm.weight", "model.layers.0.post_attention_layernorm.weight"),
        ("blk.29.ffn_down.weight", "model.layers.29.mlp.down_proj.weight"),
    ],
)
def test_a_tensor_has_the_name_that_transformers_knows(gguf: str, transformers: str) -> None:
    assert tensors.name_of(gguf) == transformers


@pytest.mark.parametrize("name", ["rope_freqs.weight", "blk.0.ffn_gate_inp.weight", "blk.x.attn_q.weight"])
def test_a_tensor_that_no_llama_has_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        tensors.name_of(name)


def test_queries_and_keys_go_back_to_halves_one_after_the_other() -> None:
    assert tensors.order_of("blk.0.attn_q.weight", 8, SMALL) == [0, 2, 1, 3, 4, 6, 5, 7]
    assert tensors.order_of("blk.0.attn_k.weight", 6, SMALL) == [0, 2, 4, 1, 3, 5]


@pytest.mark.parametrize("name", ["blk.0.attn_v.weight", "blk.0.ffn_up.weight", "token_embd.weight"])
def test_other_tensors_keep_their_rows(name: str) -> None:
    assert tensors.order_of(name, 8, SMALL) is None


def test_the_order_undoes_what_the_converter_to_gguf_did() -> None:
    rows, heads = 8, SMALL.heads
    size = rows // heads
    # As llama.cpp's converter writes them: of each head, the two halves in turn.
    stored = [
        head * size + half * size // 2 + at for head in range(heads) for at in range(size // 2) for half in (0, 1)
    ]
    order = tensors.order_of("blk.0.attn_q.weight", rows, SMALL)
    assert order
    assert [stored[row] for row in order] == list(range(rows))


def test_the_configuration_says_how_it_is_built() -> None:
    config = tensors.config_of(SMALL, tied=True)
    assert (config["num_hidden_layers"], config["num_key_value_heads"], config["eos_token_id"]) == (1, 1, 2)
    assert config["rope_parameters"] == {"rope_type": "default", "rope_theta": 10_000.0}
    assert config["tie_word_embeddings"] is True


def test_the_tokenizer_keeps_every_tokens_number_and_the_order_of_merges() -> None:
    rules = msgspec.convert(tokenizer.rules(words()), dict[str, object])
    model = msgspec.convert(rules["model"], dict[str, object])
    assert model["vocab"] == {"<none>": 0, "<begin>": 1, "<end>": 2, "a": 3, "b": 4, "ab": 5}
    assert model["merges"] == [["a", "b"]]


def test_only_tokens_without_text_are_special() -> None:
    added = msgspec.convert(tokenizer.rules(words())["added_tokens"], list[dict[str, object]])
    assert [(token["id"], token["content"]) for token in added] == [(0, "<none>"), (1, "<begin>"), (2, "<end>")]
    assert all(token["special"] for token in added)


def test_another_kind_of_tokenizer_is_refused_rather_than_written_wrongly() -> None:
    with pytest.raises(ValueError, match="gpt2/qwen2"):
        tokenizer.rules(words(pre="qwen2"))


def test_the_settings_name_the_special_tokens_and_the_chat_template() -> None:
    settings = tokenizer.settings(words())
    assert (settings["bos_token"], settings["eos_token"], settings["pad_token"]) == ("<begin>", "<end>", "<end>")
    assert (settings["chat_template"], settings["model_max_length"]) == ("{{ messages }}", 64)


def test_metadata_of_another_form_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        words(tokens="not a list")

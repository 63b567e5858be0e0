"""A Llama in GGUF as transformers knows it: names of tensors, order of rows, and its configuration."""

import re
from collections.abc import Sequence

import msgspec

OUTSIDE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
INSIDE = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_BLOCK = re.compile(r"blk\.(\d+)\.(\w+)\.weight")


class Llama(
    msgspec.Struct,
    frozen=True,
    rename={
        "layers": "llama.block_count",
        "context": "llama.context_length",
        "width": "llama.embedding_length",
        "inner": "llama.feed_forward_length",
        "heads": "llama.attention.head_count",
        "kv_heads": "llama.attention.head_count_kv",
        "rope": "llama.rope.freq_base",
        "epsilon": "llama.attention.layer_norm_rms_epsilon",
        "vocabulary": "llama.vocab_size",
        "begin": "tokenizer.ggml.bos_token_id",
        "end": "tokenizer.ggml.eos_token_id",
    },
):
    """The metadata that say how the model is built."""

    layers: int
    context: int
    width: int
    inner: int
    heads: int
    kv_heads: int
    rope: float
    epsilon: float
    vocabulary: int
    begin: int
    end: int


def name_of(tensor: str) -> str:
    """The name that transformers has for a tensor.

    Raises:
        ValueError: no Llama has such a tensor.
    """
    if tensor in OUTSIDE:
        return OUTSIDE[tensor]
    block = _BLOCK.fullmatch(tensor)
    if block is None or block[2] not in INSIDE:
        raise ValueError(f"a Llama has no tensor {tensor}")
    return f"model.layers.{block[1]}.{INSIDE[block[2]]}.weight"


def order_of(tensor: str, rows: int, llama: Llama) -> Sequence[int] | None:
    """Which row of GGUF's each row is; None where they are in the same order.

    GGUF keeps the two halves that a rotary embedding turns together as neighbours, transformers one after the other.
    """
    heads = {"attn_q": llama.heads, "attn_k": llama.kv_heads}.get(tensor.split(".")[-2])
    if heads is None:
        return None
    size = rows // heads
    return [head * size + 2 * at + half for head in range(heads) for half in (0, 1) for at in range(size // 2)]


def config_of(llama: Llama, *, tied: bool) -> dict[str, object]:
    """`config.json`; `tied` says that the output matrix is the embedding."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "dtype": "bfloat16",
        "hidden_act": "silu",
        "hidden_size": llama.width,
        "intermediate_size": llama.inner,
        "num_hidden_layers": llama.layers,
        "num_attention_heads": llama.heads,
        "num_key_value_heads": llama.kv_heads,
        "max_position_embeddings": llama.context,
        "rms_norm_eps": llama.epsilon,
        "rope_parameters": {"rope_type": "default", "rope_theta": llama.rope},
        "vocab_size": llama.vocabulary,
        "tie_word_embeddings": tied,
        "attention_bias": False,
        "mlp_bias": False,
        "bos_token_id": llama.begin,
        "eos_token_id": llama.end,
    }

"""The tokenizer that a GGUF file carries, as the files that transformers reads."""

import msgspec

CONTROL = 3
"""GGUF's type of a token that stands for no text."""


class Tokenizer(
    msgspec.Struct,
    frozen=True,
    rename={
        "model": "tokenizer.ggml.model",
        "splitting": "tokenizer.ggml.pre",
        "tokens": "tokenizer.ggml.tokens",
        "types": "tokenizer.ggml.token_type",
        "merges": "tokenizer.ggml.merges",
        "begin": "tokenizer.ggml.bos_token_id",
        "end": "tokenizer.ggml.eos_token_id",
        "unknown": "tokenizer.ggml.unknown_token_id",
        "padding": "tokenizer.ggml.padding_token_id",
        "template": "tokenizer.chat_template",
        "context": "llama.context_length",
    },
):
    """The metadata that say how text becomes tokens. Only SmolLM's way of splitting is known here."""

    model: str
    splitting: str
    tokens: list[str]
    types: list[int]
    merges: list[str]
    begin: int
    end: int
    unknown: int
    padding: int
    template: str
    context: int


def rules(tokenizer: Tokenizer) -> dict[str, object]:
    """`tokenizer.json`.

    Raises:
        ValueError: the tokenizer is of another kind.
    """
    if (tokenizer.model, tokenizer.splitting) != ("gpt2", "smollm"):
        raise ValueError(f"no way is known to write a tokenizer {tokenizer.model}/{tokenizer.splitting}")
    spelling = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "added_tokens": [
            _added(at, text) for at, text in enumerate(tokenizer.tokens) if tokenizer.types[at] == CONTROL
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, spelling],
        },
        "post_processor": None,
        "decoder": spelling,
        "model": {
            "type": "BPE",
            "vocab": {text: at for at, text in enumerate(tokenizer.tokens)},
            "merges": [merge.split(" ") for merge in tokenizer.merges],
        },
    }


def settings(tokenizer: Tokenizer) -> dict[str, object]:
    """`tokenizer_config.json`."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": tokenizer.tokens[tokenizer.begin],
        "eos_token": tokenizer.tokens[tokenizer.end],
        "unk_token": tokenizer.tokens[tokenizer.unknown],
        "pad_token": tokenizer.tokens[tokenizer.padding],
        "model_max_length": tokenizer.context,
        "clean_up_tokenization_spaces": False,
        "chat_template": tokenizer.template,
    }


def _added(at: int, text: str) -> dict[str, object]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    return {"id": at, "content": text, **flags}

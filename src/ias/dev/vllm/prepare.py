"""Turns a GGUF file into a folder that vLLM loads; run by the engine's own Python: `-m ias.dev.vllm.prepare FROM TO`.

Imports nothing that only the platform's environment has. Prints a line of progress for every tensor.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import torch
from gguf import GGUFReader, dequantize
from safetensors.torch import save_file

from ias.dev.vllm import tensors, tokenizer
from ias.dev.vllm.tensors import Llama
from ias.dev.vllm.tokenizer import Tokenizer


def main(source: Path, folder: Path) -> None:
    """Write weights, configuration and tokenizer into a folder that is there and empty."""
    reader = GGUFReader(source)
    metadata = {name: field.contents() for name, field in reader.fields.items()}
    llama, words = msgspec.convert(metadata, Llama), msgspec.convert(metadata, Tokenizer)
    weights = dict(_weights(reader, llama))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for name, content in (
        ("config.json", tensors.config_of(llama, tied="lm_head.weight" not in weights)),
        ("generation_config.json", {"bos_token_id": llama.begin, "eos_token_id": llama.end}),
        ("tokenizer.json", tokenizer.rules(words)),
        ("tokenizer_config.json", tokenizer.settings(words)),
    ):
        (folder / name).write_bytes(msgspec.json.encode(content))


def _weights(reader: GGUFReader, llama: Llama) -> Iterator[tuple[str, torch.Tensor]]:
    for at, tensor in enumerate(reader.tensors, 1):
        weight = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        order = tensors.order_of(tensor.name, len(weight), llama)
        whole = weight if order is None else weight[order]
        sys.stdout.write(f"{at} of {len(reader.tensors)} tensors\n")
        sys.stdout.flush()
        yield tensors.name_of(tensor.name), whole.to(torch.bfloat16).contiguous()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

"""How vLLM is started: what it serves, with which flags and surroundings."""

from ias.dev.ports import HOST
from ias.dev.processes import Launch
from ias.dev.vllm.installation import Installation

NAME = "vllm"
MODEL = "smollm2"
CONTEXT = 2048
"""Tokens of prompt and answer together; SmolLM2 could take 8,192, at four times the wait on a processor."""

FLAGS = (
    *("--enforce-eager", "--max-num-seqs", "8", "--max-model-len", str(CONTEXT)),
    *("--enable-prompt-tokens-details", "--enable-request-id-headers", "--enable-server-load-tracking"),
    *("--enable-auto-tool-choice", "--tool-call-parser", "hermes"),
)
SURROUNDINGS = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GB
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
}


def launch(installed: Installation, port: int) -> Launch:
    """The process. Not the command `vllm`: it asks for a package of that name, and the CPU build has another."""
    command = (
        *(str(installed.python), "-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(installed.model), "--served-model-name", MODEL),
        *("--host", HOST, "--port", str(port), *FLAGS),
    )
    return Launch(NAME, command, {**SURROUNDINGS, "VLLM_CACHE_ROOT": str(installed.home / "cache")})

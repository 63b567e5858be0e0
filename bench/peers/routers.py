"""The routers of vLLM and of SGLang, out of their wheels: both in Rust, without an authority over keys or budgets."""

from bench.peers.environments import environment
from bench.peers.peer import Launch, Peer, program
from tests.services import free_port

VLLM_VERSION = "0.1.17"
SGLANG_VERSION = "0.3.2"


def vllm() -> Peer:
    """vllm-router in front of one worker.

    Raises:
        Absent: it cannot be installed.
    """
    binary = environment(f"vllm-router-{VLLM_VERSION}", f"vllm-router=={VLLM_VERSION}") / "vllm-router"
    return program("vllm-router", VLLM_VERSION, lambda launch: (binary, *_arguments(launch), "--log-level=warning"))


def sglang() -> Peer:
    """sglang-router in front of one worker.

    Raises:
        Absent: it cannot be installed.
    """
    binary = environment(f"sglang-router-{SGLANG_VERSION}", f"sglang-router=={SGLANG_VERSION}") / "sglang-router"
    return program(
        "sglang-router",
        SGLANG_VERSION,
        lambda launch: (binary, "launch", *_arguments(launch), "--log-level=warn", "--max-concurrent-requests=4096"),
    )


def _arguments(launch: Launch) -> tuple[str, ...]:
    return (
        *("--host=127.0.0.1", f"--port={launch.port}", "--policy=round_robin"),
        *("--worker-urls", launch.engine_url, f"--prometheus-port={free_port()}", "--prometheus-host=127.0.0.1"),
    )

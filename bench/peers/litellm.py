"""LiteLLM's proxy with a master key alone, without a database. 1.80.0 is older than its compromised releases."""

from bench.exchange import MODEL
from bench.peers.environments import environment
from bench.peers.peer import Launch, Peer, program

VERSION = "1.80.0"
MASTER_KEY = "sk-bench"
_CONFIG = """
model_list:
  - model_name: {model}
    litellm_params: {{model: openai/{model}, api_base: {engine}/v1, api_key: none}}
general_settings: {{master_key: {key}}}
litellm_settings: {{telemetry: false, num_retries: 0}}
"""


def offer() -> Peer:
    """One worker of the proxy.

    Raises:
        Absent: it cannot be installed.
    """
    binary = environment(f"litellm-{VERSION}", f"litellm[proxy]=={VERSION}") / "litellm"

    def argv(launch: Launch) -> tuple[str, ...]:
        config = launch.home / "config.yaml"
        config.write_text(_CONFIG.format(model=MODEL, engine=launch.engine_url, key=MASTER_KEY))
        where = ("--host", "127.0.0.1", "--port", str(launch.port), "--num_workers", "1")
        local_costs = ("env", "LITELLM_LOCAL_MODEL_COST_MAP=True", "LITELLM_LOG=ERROR")
        return (*local_costs, str(binary), "--config", str(config), *where)

    return program("litellm", VERSION, argv, MASTER_KEY)

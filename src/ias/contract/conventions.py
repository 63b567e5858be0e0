"""Names of OpenTelemetry's conventions: those of generative AI are in development, and are written here alone."""

from typing import Final

# Generative AI: https://opentelemetry.io/docs/specs/semconv/gen-ai/
OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"

# The metrics, in Prometheus's spelling.
REQUEST_DURATION: Final = "gen_ai_server_request_duration_seconds"
TIME_TO_FIRST_TOKEN: Final = "gen_ai_server_time_to_first_token_seconds"  # noqa: S105 - no secret
TIME_PER_OUTPUT_TOKEN: Final = "gen_ai_server_time_per_output_token_seconds"  # noqa: S105 - no secret

VLLM: Final = "vllm"
"""The provider."""
_OPERATIONS: Final = {
    "/v1/chat/completions": "chat",
    "/v1/responses": "chat",
    "/v1/completions": "text_completion",
    "/v1/embeddings": "embeddings",
}

# HTTP and messaging.
METHOD: Final = "http.request.method"
ROUTE: Final = "http.route"
STATUS: Final = "http.response.status_code"
SERVER: Final = "server.address"
ERROR: Final = "error.type"
MESSAGING: Final = "messaging.system"
DESTINATION: Final = "messaging.destination.name"
MESSAGING_OPERATION: Final = "messaging.operation.type"
TOGETHER: Final = "messaging.batch.message_count"

# Ours.
REQUEST_ID: Final = "ias.request_id"
ORGANISATION: Final = "ias.organisation"
OUTCOME: Final = "ias.outcome"


def operation(endpoint: str) -> str:
    """What an endpoint does; where there is no word for it, the endpoint's own last one."""
    return _OPERATIONS.get(endpoint) or endpoint.rpartition("/")[2]

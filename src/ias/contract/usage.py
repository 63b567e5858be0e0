"""What is told about a request once it is over: the usage event, its version, and where it is published."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

EXCHANGE = "usage"
ROUTING_KEY = "usage.recorded.v1"
LEDGER_QUEUE = "billing.ledger.v1"
ANALYTICS_QUEUE = "analytics.usage.v1"
VERSION = 1


class Outcome(StrEnum):
    """How a request ended, as far as accounting is concerned."""

    COMPLETED = "completed"
    REJECTED = "rejected"
    CLIENT_ABORTED = "client_aborted"
    UPSTREAM_FAILED = "upstream_failed"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    CUT = "cut"
    DRAINED = "drained"
    GATEWAY_LOST = "gateway_lost"


class Facts(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """What the gateway knows of a request besides its tokens; the `f` field of an outbox entry, as JSON.

    Times are Unix seconds for instants and milliseconds for durations. Where the sweeper settles for a lost gateway
    only the fields without a default are there.
    """

    organisation: str
    user: str
    key: str
    model: str
    model_id: str
    endpoint: str
    started_at: float
    streamed: bool = False
    gateway: str = ""
    replica: str = ""
    status: int = 0
    duration_ms: float | None = None
    queue_ms: float | None = None
    first_token_ms: float | None = None
    traceparent: str = ""


class UsageRecorded(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One ledger line in the making: line 1 of a request, or a numbered adjustment.

    Token counts of an adjustment are differences and may be negative; those of line 1 never are.
    `period` is the month YYYYMM (UTC) that was fixed at admission.
    """

    version: int = VERSION
    request_id: UUID
    line: int
    period: str
    organisation: UUID
    user: UUID
    key: UUID
    model: str
    model_id: UUID
    endpoint: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    outcome: Outcome
    estimated: bool = False
    lower_bound: bool = False
    started_at: datetime
    settled_at: datetime
    streamed: bool = False
    status: int = 0
    gateway: str = ""
    replica: str = ""
    duration_ms: float | None = None
    queue_ms: float | None = None
    first_token_ms: float | None = None
    traceparent: str = ""
    """What the request's span causes, where it was traced."""


encode_facts = msgspec.json.Encoder().encode
decode_facts = msgspec.json.Decoder(Facts).decode
encode_batch = msgspec.json.Encoder().encode
decode_batch = msgspec.json.Decoder(tuple[UsageRecorded, ...]).decode

"""The AsyncAPI document of the usage event: where it is published, who takes it, and what it is made of."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec

from ias.bus import DELIVERY_LIMIT, MOST_BYTES, dead_letters
from ias.contract.usage import (
    ANALYTICS_QUEUE,
    EXCHANGE,
    LEDGER_QUEUE,
    ROUTING_KEY,
    VERSION,
    Outcome,
    UsageRecorded,
    encode_batch,
)
from scripts.manual.json_types import Json, cell, fields, one_line, said

EXAMPLE: Final = UsageRecorded(
    request_id=UUID("0190b7c2-5e1f-7d94-8a36-0b4c9e2d7f58"),
    line=1,
    period="202601",
    organisation=UUID("0190a3a0-7c2e-7d31-9c54-2f6b8a1d4e03"),
    user=UUID("0190a3a4-9b3c-7e55-a1d2-7f0e4c8b6a29"),
    key=UUID("0190a3a6-2f7b-7c80-9d13-6a5e8b0c4f71"),
    model="llama-3.3-70b",
    model_id=UUID("0190a3a2-51c0-7a44-8b7e-3d9f6c2a1b05"),
    endpoint="/v1/chat/completions",
    prompt_tokens=412,
    completion_tokens=187,
    cached_tokens=256,
    outcome=Outcome.COMPLETED,
    started_at=datetime(2026, 1, 15, 14, 5, 27, tzinfo=UTC),
    settled_at=datetime(2026, 1, 15, 14, 5, 31, tzinfo=UTC),
    streamed=True,
    status=200,
    gateway="gateway-7d9c-0",
    replica="http://vllm-llama:8000",
    duration_ms=4020.5,
    queue_ms=1.9,
    first_token_ms=212.4,
)
_ABOUT: Final = (
    "A worker's relay hands settlements on from Redis's outboxes. A message is a list of events; the broker confirms it"
    " before the outbox forgets them, so that an event may come twice: `request_id` and `line` tell. Without a broker"
    " the relay hands the same events to both consumers itself."
)
_MEANINGS: Final = {
    "version": "Of this schema. Another one is set aside, not guessed at.",
    "request_id": "The request, as clients got it in `x-request-id`.",
    "line": "1, or the number of an adjustment.",
    "period": "The month YYYYMM (UTC), fixed at admission.",
    "organisation": "Who pays.",
    "user": "Whose key it was.",
    "key": "The API key's id; never the key.",
    "model": "The model's public name.",
    "model_id": "The model in the catalogue.",
    "endpoint": "The route, by its first name.",
    "prompt_tokens": "Tokens of the prompt, cached ones too; negative in adjustments only.",
    "completion_tokens": "Tokens of the answer.",
    "cached_tokens": "Of the prompt's, those that the engine had in its cache.",
    "outcome": "How the request ended.",
    "estimated": "The engine reported nothing: counted by bytes and events.",
    "lower_bound": "Settled from the last checkpoint, since the gateway was lost.",
    "started_at": "Admission, by Redis's clock.",
    "settled_at": "Settlement.",
    "streamed": "Whether it was asked for as a stream.",
    "status": "HTTP status; 0 where none went out.",
    "gateway": "The gateway process.",
    "replica": "The engine's address.",
    "duration_ms": "Arrival to end.",
    "queue_ms": "Arrival to dispatch.",
    "first_token_ms": "Arrival to first token.",
    "traceparent": "W3C trace context of the request, so that its trace goes on where it is booked.",
}


def document() -> Json:
    """The document (AsyncAPI 3.0)."""
    queues = (LEDGER_QUEUE, ANALYTICS_QUEUE)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Inference-as-a-Service: events",
            "version": str(VERSION),
            "description": _ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "broker": {
                "host": "{host}",
                "protocol": "amqp",
                "description": "`IAS_AMQP_URL`.",
                "variables": {"host": {"default": "localhost:5672"}},
            }
        },
        "channels": {"usage": _exchange(), **{name: _queue(name) for name in queues}},
        "operations": {
            "relay": _operation("send", "usage", "The relay of any worker publishes, mandatory and persistent."),
            "ledger": _operation("receive", LEDGER_QUEUE, "Billing writes ledger lines, then acknowledges."),
            "analytics": _operation("receive", ANALYTICS_QUEUE, "Analytics adds to its sums, then acknowledges."),
        },
        "components": {"messages": {"UsageRecorded": _message()}, "schemas": schemas()},
    }


def written() -> bytes:
    """The same as JSON, indented: docs/events.json."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=2) + b"\n"


def schemas() -> dict[str, Json]:
    """Those of a message, by msgspec."""
    reference = "#/components/schemas/{name}"
    _, found = msgspec.json.schema_components([tuple[UsageRecorded, ...]], ref_template=reference)
    event = found["UsageRecorded"]
    event["description"] = one_line(str(event["description"]))
    for name, field in event["properties"].items():
        field["description"] = _MEANINGS.get(name, "")
        if name.endswith("_at"):
            field["format"] = "date-time"
    batch: Json = {"type": "array", "items": {"$ref": reference.format(name="UsageRecorded")}, "minItems": 1}
    return {"Batch": batch, **found}


def page() -> str:
    """The document as Markdown."""
    known = schemas()
    lines = ["# Events", "", _ABOUT, ""]
    lines += [
        f"Exchange `{EXCHANGE}` (topic, durable), routing key `{ROUTING_KEY}`, JSON. The document: `docs/events.json`.",
        "",
    ]
    lines += ["| queue | taken by | kind |", "| --- | --- | --- |"]
    for name, who in ((LEDGER_QUEUE, "billing"), (ANALYTICS_QUEUE, "analytics")):
        full = f"{MOST_BYTES >> 30} GiB, then the broker refuses"
        kind = f"quorum, {DELIVERY_LIMIT} deliveries, {full}; dead letters in `{dead_letters(name)}`"
        lines.append(f"| `{name}` | {who} | {kind} |")
    lines += ["", "## A message", "", "```json", msgspec.json.format(encode_batch([EXAMPLE]), indent=2).decode(), "```"]
    lines += ["", "## UsageRecorded", "", cell(str(known["UsageRecorded"]["description"])), ""]
    lines += [*fields(known["UsageRecorded"]), "", "## Outcome", "", said(known["Outcome"])]
    return "\n".join(lines) + "\n"


def _exchange() -> Json:
    topic: Json = {"name": EXCHANGE, "type": "topic", "durable": True, "autoDelete": False}
    bound: Json = {"amqp": {"is": "routingKey", "exchange": topic, "bindingVersion": "0.3.0"}}
    return {"address": ROUTING_KEY, "messages": _messages(), "bindings": bound}


def _queue(name: str) -> Json:
    bound_to = f"Bound to `{EXCHANGE}` by `{ROUTING_KEY}`"
    said_ = f"{bound_to}; what is delivered {DELIVERY_LIMIT} times goes to `{dead_letters(name)}`."
    queue: Json = {"name": name, "durable": True, "exclusive": False, "autoDelete": False}
    bound: Json = {"amqp": {"is": "queue", "queue": queue, "bindingVersion": "0.3.0"}}
    return {"address": name, "description": said_, "messages": _messages(), "bindings": bound}


def _messages() -> Json:
    return {"UsageRecorded": {"$ref": "#/components/messages/UsageRecorded"}}


def _operation(action: str, channel: str, summary: str) -> Json:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/UsageRecorded"}],
    }


def _message() -> Json:
    return {
        "name": "UsageRecorded",
        "title": "Usage of requests that are over",
        "contentType": "application/json",
        "payload": {"$ref": "#/components/schemas/Batch"},
        "examples": [{"name": "one request", "payload": msgspec.json.decode(encode_batch([EXAMPLE]))}],
    }

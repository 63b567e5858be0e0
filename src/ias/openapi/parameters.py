"""What a route takes besides its body: parameters of its path and query, and headers that change what it does."""

import types
from collections.abc import Mapping
from typing import Final, Union, get_args, get_origin

import msgspec
from litestar.params import ParameterKwarg

from ias.openapi.schemas import Json, Schemas
from ias.parameters import Parameter

SOME_ID: Final = "0190a3a0-7c2e-7d31-9c54-2f6b8a1d4e03"

# The same name is the same thing everywhere.
_IN_WORDS: Final[Mapping[str, tuple[str, object]]] = {
    "action": ("Only what was done like this, such as `key.issued`.", "key.issued"),
    "actor": ("Only what was done by this address, or by what an entry calls who has none.", "ada@example.org"),
    "actor_id": ("Only what this user did.", SOME_ID),
    "alert_id": ("The alert.", SOME_ID),
    "cursor": ("Where to go on: `next_cursor` of the page before. Left out, the first page.", "AZCjoHwufTGcVC9rih1OAw"),
    "entry_id": ("The entry of the audit log.", SOME_ID),
    "errors": ("Only what failed.", True),
    "from": ("From this moment on; it needs an offset from UTC.", "2026-01-01T00:00:00Z"),
    "group_by": ("What the items are of.", "model"),
    "invite_id": ("The invite.", SOME_ID),
    "key_id": ("The API key.", SOME_ID),
    "limit": ("How many items a page has at most.", 50),
    "model": ("Only this model, by name.", "llama-3.3-70b"),
    "model_id": ("The model.", SOME_ID),
    "outcome": ("Only what ended like this.", "completed"),
    "org_id": ("The organisation. Where it is a filter, one's own is what others than system admins get.", SOME_ID),
    "period": ("A month, YYYYMM (UTC).", "202601"),
    "rate_id": ("The rate.", SOME_ID),
    "reason": ("Why; the audit log keeps it.", "unpaid since May"),
    "request_id": ("The request, as the gateway's `X-Request-Id` named it.", SOME_ID),
    "search": ("Only what has this in its name, or of members in their address, whatever its case.", "ada"),
    "session_id": ("The session.", SOME_ID),
    "since": ("From this moment on; it needs an offset from UTC.", "2026-01-01T00:00:00Z"),
    "slower_than_ms": ("Only what took so many milliseconds, or longer.", 10_000.0),
    "sort": ("What comes first.", "tokens"),
    "source": ("Only what came in by this door.", "cli"),
    "state": ("Only in this state.", "active"),
    "status": ("Only of this status.", 200),
    "target_id": ("Only what was done to this.", SOME_ID),
    "timezone": ("The IANA time zone in which days begin.", "Europe/Berlin"),
    "to": ("Before this moment; it needs an offset from UTC.", "2026-02-01T00:00:00Z"),
    "until": ("Before this moment; it needs an offset from UTC.", "2026-02-01T00:00:00Z"),
    "user_id": ("The user.", SOME_ID),
    "X-Hub-Signature-256": ("`sha256=`, and the HMAC-SHA256 of the body in hexadecimal.", f"sha256={'0f' * 32}"),
}

HEADERS: Final[Json] = {
    "If-Match": {
        "name": "If-Match",
        "in": "header",
        "description": "The ETag of what you believe it to be. Where it is something else by now, nothing is changed "
        "and the answer is 412; left out, it is changed whatever it is.",
        "schema": {"type": "string"},
        "example": '"9f2c1d7e5b8a4036c1e2d3f4a5b69788"',
    },
    "Idempotency-Key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "A fresh UUID for what is to be done once. Sent again with the same key within 24 hours, the "
        "request is answered as the first one was (`Idempotency-Replayed: true`), not done again.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "example": "6e9d1c52-0b0f-4f6e-9d8a-5c1f2b7a3e44",
    },
}


def kind(parameter: Parameter) -> object:
    """Its type, without null: a parameter that is left out is not there."""
    return _without_none(parameter.field.annotation)


def told(parameter: Parameter, schemas: Schemas) -> Json:
    """As the document has it."""
    said, example = _IN_WORDS.get(parameter.name, ("", None))
    field, definition = parameter.field, parameter.field.kwarg_definition
    rules = definition if isinstance(definition, ParameterKwarg) else ParameterKwarg()
    bounds = {"minimum": rules.ge, "maximum": rules.le, "pattern": rules.pattern, "maxLength": rules.max_length}
    schema = schemas.of(kind(parameter)) | {name: bound for name, bound in bounds.items() if bound is not None}
    if field.has_default and field.default is not None:
        schema["default"] = msgspec.to_builtins(field.default)
    if parameter.name in {"from", "to", "since", "until"}:
        schema["format"] = "date-time"
    if schema.get("type") == "array":
        example = [example]
    return {
        "name": parameter.name,
        "in": parameter.place.value,
        "required": parameter.in_path or field.is_required,
        "description": rules.description or said,
        "schema": schema,
        **({} if example is None else {"example": example}),
    }


def _without_none(annotation: object) -> object:
    if get_origin(annotation) not in {Union, types.UnionType}:
        return annotation
    kinds = tuple(kind for kind in get_args(annotation) if kind is not type(None))
    return kinds[0] if len(kinds) == 1 else Union[kinds]  # noqa: UP007 - of values, not of types that are written here

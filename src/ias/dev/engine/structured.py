"""JSON that fits a schema: what the engine says when it is asked for a format or calls a tool."""

from typing import cast

Schema = dict[str, object]

_DEPTH = 12
_PLAIN: dict[object, object] = {"integer": 7, "number": 0.5, "boolean": True, "null": None, "string": "the one"}


def sample(schema: object, depth: int = _DEPTH) -> object:
    """The simplest value that fits: required properties only, the first of several ways.

    `$ref`, `pattern`, `format` and numeric bounds are not looked at.
    """
    if not isinstance(schema, dict) or depth == 0:
        return {}
    known = cast("Schema", schema)
    if "const" in known:
        return known["const"]
    if chosen := _first(known, "enum"):
        return chosen[0]
    if ways := _first(known, "anyOf") or _first(known, "oneOf"):
        return sample(ways[0], depth - 1)
    return _of_type(known, depth)


def _of_type(schema: Schema, depth: int) -> object:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    if kind == "array":
        length = schema.get("minItems")
        return [sample(schema.get("items"), depth - 1)] * (length if isinstance(length, int) else 1)
    if kind == "object" or kind is None:
        properties = schema.get("properties")
        known = cast("Schema", properties) if isinstance(properties, dict) else {}
        return {str(name): sample(known.get(str(name)), depth - 1) for name in _first(schema, "required")}
    return _PLAIN.get(kind, "the one")


def _first(schema: Schema, name: str) -> list[object]:
    found = schema.get(name)
    return cast("list[object]", found) if isinstance(found, list) else []

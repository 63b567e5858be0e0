"""How a JSON Schema is said in a table's cell, and a document's named schemas as tables."""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

Json = dict[str, object]

_BOUNDS = {
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "exclusiveMinimum": "> {}",
    "exclusiveMaximum": "< {}",
    "minLength": "{} characters or more",
    "maxLength": "{} characters at most",
    "minItems": "{} items or more",
    "maxItems": "{} items at most",
}


def said(schema: object) -> str:
    """A schema in a few words of Markdown; a named one is a link to its table on the same page."""
    if not isinstance(schema, dict) or not schema:
        return "any JSON"
    known = cast("Json", schema)
    if "$ref" in known:
        name = named(known)
        return f"[{name}](#{anchor(name)})"
    either = known.get("anyOf") or known.get("oneOf") or known.get("allOf")
    if isinstance(either, list):
        return " or ".join(dict.fromkeys(map(said, either)))
    if "const" in known:
        return f"`{known['const']}`"
    if isinstance(known.get("enum"), list):
        return " or ".join(f"`{value}`" for value in cast("list[object]", known["enum"]))
    return _plain(known) + _bounds(known)


def named(reference: Json) -> str:
    """The name of what a reference points to."""
    return str(reference["$ref"]).rpartition("/")[2]


def anchor(heading: str) -> str:
    """The anchor that a heading of letters, figures, blanks, hyphens and underscores gets."""
    return heading.lower().replace(" ", "-")


def tables(schemas: Mapping[str, Json], names: Iterable[str]) -> Iterator[str]:
    """A heading and a table for each of these schemas."""
    for name in names:
        schema = schemas[name]
        yield from ("", f"### {name}", "")
        if schema.get("description"):
            yield from (one_line(str(schema["description"])), "")
        if "properties" in schema:
            yield from fields(schema)
        else:
            yield said(schema)


def fields(schema: Json) -> Iterator[str]:
    """A table of an object's fields."""
    needed = cast("list[str]", schema.get("required", []))
    yield from ("| field | type | must be there | meaning |", "| --- | --- | --- | --- |")
    for field, kind in cast("dict[str, Json]", schema["properties"]).items():
        must = "yes" if field in needed else ""
        yield f"| `{field}` | {said(kind)} | {must} | {cell(str(kind.get('description', '')))} |"


def reached(schemas: Mapping[str, Json], roots: Iterable[object]) -> list[str]:
    """The names of every schema that these refer to, however far, in alphabetical order."""
    found: set[str] = set()
    todo = list(roots)
    while todo:
        for name in _references(todo.pop()) - found:
            found.add(name)
            todo.append(schemas[name])
    return sorted(found)


def one_line(text: str) -> str:
    """The same without line breaks."""
    return " ".join(text.split())


def cell(text: str) -> str:
    """The same for a table's cell."""
    return one_line(text).replace("|", "\\|")


def _references(thing: object) -> set[str]:
    if isinstance(thing, list):
        return {name for each in cast("list[object]", thing) for name in _references(each)}
    if not isinstance(thing, dict):
        return set()
    known = cast("Json", thing)
    if isinstance(known.get("$ref"), str) and "/schemas/" in str(known["$ref"]):
        return {named(known)}
    return {name for each in known.values() for name in _references(each)}


def _plain(schema: Json) -> str:
    kind = schema.get("type", "any JSON")
    if isinstance(kind, list):
        return " or ".join(map(str, kind))
    if kind == "array":
        return f"list of {said(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {said(schema['additionalProperties'])}"
    return f"{kind} ({schema['format']})" if "format" in schema else str(kind)


def _bounds(schema: Json) -> str:
    told = [form.format(schema[name]) for name, form in _BOUNDS.items() if name in schema]
    return f", {', '.join(told)}" if told else ""

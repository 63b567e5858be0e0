"""An OpenAPI document as Markdown: a page for each tag, with its routes and the schemas that they use."""

from collections.abc import Iterator, Sequence
from typing import cast

import msgspec

from scripts.manual.json_types import Json, cell, one_line, reached, said, tables

METHODS = ("get", "post", "put", "patch", "delete")
Route = tuple[str, str, Json]
"""Method, path, operation."""


def pages(document: Json) -> dict[str, str]:
    """A page of Markdown for each tag."""
    tags = cast("list[dict[str, str]]", document["tags"])
    return {tag["name"]: "\n".join(_page(document, tag)) + "\n" for tag in tags}


def routes(document: Json) -> list[Route]:
    """Every route, in the document's order."""
    paths = cast("dict[str, Json]", document["paths"])
    return [
        (method.upper(), path, cast("Json", item[method]))
        for path, item in paths.items()
        for method in METHODS
        if method in item
    ]


def _page(document: Json, tag: dict[str, str]) -> Iterator[str]:
    own = [route for route in routes(document) if tag["name"] in cast("list[str]", route[2]["tags"])]
    yield from (f"# {tag['name'].capitalize()}", "", tag["description"], "")
    yield from ("| route | |", "| --- | --- |")
    for method, path, operation in own:
        yield f"| [`{method} {path}`](#{operation['operationId']}) | {operation['summary']} |"
    for route in own:
        yield from _route(document, route)
    schemas = cast("dict[str, Json]", _components(document)["schemas"])
    used = reached(schemas, [_resolved(document, operation) for _, _, operation in own])
    if used:
        yield from ("", "## Schemas")
        yield from tables(schemas, used)


def _route(document: Json, route: Route) -> Iterator[str]:
    method, path, operation = route
    yield from ("", f"## {operation['summary']} {{ #{operation['operationId']} }}", "")
    yield from ("```http", f"{method} {path}", "```", "")
    yield str(operation.get("description", ""))
    yield from _parameters(document, cast("list[Json]", operation.get("parameters", [])))
    if "requestBody" in operation:
        yield from _body(cast("Json", operation["requestBody"]))
    yield from _answers(document, cast("dict[str, Json]", operation["responses"]))


def _parameters(document: Json, given: Sequence[Json]) -> Iterator[str]:
    if not given:
        return
    yield from ("", "| parameter | in | type | must be there | meaning |", "| --- | --- | --- | --- | --- |")
    for reference in given:
        one = _deref(document, reference)
        must = "yes" if one.get("required") else ""
        meaning = cell(str(one.get("description", "")))
        yield f"| `{one['name']}` | {one['in']} | {said(one.get('schema'))} | {must} | {meaning} |"


def _body(body: Json) -> Iterator[str]:
    for kind, content in cast("dict[str, Json]", body["content"]).items():
        yield from ("", f"Body, `{kind}`: {said(content['schema'])}")
        yield from _example(content)


def _answers(document: Json, answers: dict[str, Json]) -> Iterator[str]:
    yield from ("", "| status | body | meaning |", "| --- | --- | --- |")
    resolved = {status: _deref(document, answer) for status, answer in answers.items()}
    for status, answer in resolved.items():
        content = cast("dict[str, Json]", answer.get("content", {}))
        kinds = " or ".join(f"`{kind}` {said(told['schema'])}" for kind, told in content.items()) or "none"
        yield f"| {status} | {kinds} | {cell(str(answer['description']))} |"
    for status, answer in resolved.items():
        if status.startswith("2"):
            for one in cast("dict[str, Json]", answer.get("content", {})).values():
                yield from _example(one)


def _example(content: Json) -> Iterator[str]:
    if "example" in content:
        written = msgspec.json.format(msgspec.json.encode(content["example"]), indent=2).decode()
        yield from ("", "```json", written, "```")


def _resolved(document: Json, operation: Json) -> list[object]:
    answers = [_deref(document, answer) for answer in cast("dict[str, Json]", operation["responses"]).values()]
    given = [_deref(document, one) for one in cast("list[Json]", operation.get("parameters", []))]
    return [operation.get("requestBody", {}), *answers, *given]


def _deref(document: Json, thing: Json) -> Json:
    if "$ref" not in thing:
        return thing
    _, _, kind, name = str(thing["$ref"]).split("/")
    return cast("Json", cast("Json", _components(document)[kind])[name])


def _components(document: Json) -> Json:
    return cast("Json", document["components"])


def about(document: Json) -> str:
    """What the document says of itself."""
    return one_line(str(cast("Json", document["info"])["description"]))

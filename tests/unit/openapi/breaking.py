"""What clients of one document cannot do with another one any more."""

from collections.abc import Iterator
from typing import Any

Document = dict[str, Any]


def broken(before: Document, now: Document) -> list[str]:
    """One line for each thing that clients may rely on and that is gone, or asked of them anew."""
    return [*_routes(before, now), *_schemas(before, now)]


def _routes(before: Document, now: Document) -> Iterator[str]:
    for path, item in before["paths"].items():
        for method, operation in item.items():
            route, same = f"{method.upper()} {path}", now["paths"].get(path, {}).get(method)
            if same is None:
                yield f"{route} is gone"
                continue
            if same["operationId"] != operation["operationId"]:
                yield f"{route} was called {operation['operationId']} and is called {same['operationId']}"
            yield from _parameters(route, operation, same)
            good = {status for status in operation["responses"] if status.startswith("2")}
            yield from (f"{route} answers {status} no more" for status in sorted(good - same["responses"].keys()))


def _parameters(route: str, before: Document, now: Document) -> Iterator[str]:
    old, new = (
        {parameter["name"]: parameter for parameter in each["parameters"] if "name" in parameter}
        for each in (before, now)
    )
    yield from (f"{route} takes {name} no more" for name in old if name not in new)
    for name, parameter in new.items():
        if parameter["required"] and not old.get(name, {"required": False})["required"]:
            yield f"{route} asks for {name}"


def _schemas(before: Document, now: Document) -> Iterator[str]:
    sent = _sent(now)
    for name, schema in before["components"]["schemas"].items():
        same = now["components"]["schemas"].get(name)
        if same is None:
            yield f"{name} is gone"
            continue
        lost = schema.get("properties", {}).keys() - same.get("properties", {}).keys()
        yield from (f"{name} has no {field} any more" for field in sorted(lost))
        asked, always = set(same.get("required", ())), set(schema.get("required", ()))
        if name in sent:
            yield from (f"{name} asks for {field}" for field in sorted(asked - always))
        else:
            kept = asked | lost
            yield from (f"{name} has {field} no longer always" for field in sorted(always - kept))
        yield from (
            f"{name} is never {value!r} any more" for value in schema.get("enum", ()) if value not in same["enum"]
        )


def _sent(document: Document) -> set[str]:
    """The names of what requests have in their bodies."""
    bodies = (
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        for item in document["paths"].values()
        for operation in item.values()
        if "requestBody" in operation
    )
    return {reference.rpartition("/")[2] for reference in bodies}

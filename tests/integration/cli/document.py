"""What the OpenAPI document says about a request and its answer."""

from typing import Any
from urllib.parse import parse_qsl

import httpx
import jsonschema_rs

PREFIX = "/api/v1"


class Document:
    """The document, and what does not keep to it."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.paths: dict[str, dict[str, Any]] = document["paths"]
        self.components = document["components"]

    def route(self, method: str, path: str) -> tuple[str, str]:
        """The documented route of a request; where several fit, the one with the fewest names in it."""
        fitting = [
            template for template in self.paths if fits(template, path) and method.lower() in self.paths[template]
        ]
        assert fitting, f"{method} {path} is not documented"
        return method, min(fitting, key=lambda known: known.count("{"))

    def routes(self) -> set[tuple[str, str]]:
        """All of them."""
        return {(method.upper(), path.removeprefix(PREFIX)) for path, item in self.paths.items() for method in item}

    def check(self, answer: httpx.Response) -> tuple[str, str]:
        """The route of an exchange, which must be as documented."""
        request = answer.request
        method, path = self.route(request.method, request.url.path)
        operation = self.paths[path][method.lower()]
        known = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] == "query"}
        assert {name for name, _ in parse_qsl(request.url.query.decode())} <= known, f"{request.url}: {known}"
        self._check_body(request.content, operation.get("requestBody"))
        documented = operation["responses"].get(str(answer.status_code))
        assert documented is not None, f"{method} {path}: {answer.status_code} is not documented"
        self._check_answer(answer, documented.get("content", {}))
        return method, path.removeprefix(PREFIX)

    def _check_body(self, sent: bytes, documented: dict[str, Any] | None) -> None:
        if not sent:
            assert not (documented or {}).get("required"), "a body is expected"
            return
        assert documented, "no body is expected"
        schema = documented["content"]["application/json"]["schema"]
        body = httpx.Response(200, content=sent).json()
        self._validate(schema, body)
        assert set(body) <= set(self._resolved(schema).get("properties", {})), body

    def _check_answer(self, answer: httpx.Response, content: dict[str, Any]) -> None:
        kind = answer.headers.get("content-type", "").partition(";")[0]
        if answer.status_code != 204 and kind == "application/json":
            self._validate(content[kind]["schema"], answer.json())

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        if "$ref" in schema:
            return self.components["schemas"][schema["$ref"].rpartition("/")[2]]
        return schema

    def _validate(self, schema: dict[str, Any], thing: object) -> None:
        jsonschema_rs.validator_for({**schema, "components": self.components}).validate(thing)


def fits(template: str, path: str) -> bool:
    """Whether a path is one of a template's."""
    named, given = template.split("/"), path.split("/")
    return len(named) == len(given) and all(
        part.startswith("{") or part == said for part, said in zip(named, given, strict=True)
    )

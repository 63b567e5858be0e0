"""What the OpenAPI document says of a request and its answer, and what does not keep to it."""

import subprocess
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import httpx
import jsonschema_rs
import msgspec

from tests.product.processes import BIN

PREFIX = "/api/v1"
PROBLEM = "application/problem+json"
FAR = {404, 405}
"""What paths and methods that the document does not have are answered with."""


class Document:
    """The document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.whole = document
        self.paths: dict[str, dict[str, Any]] = document["paths"]
        self.components = document["components"]

    def route(self, method: str, path: str) -> tuple[str, str]:
        """The documented route of a request; where several fit, the one with the fewest names in it."""
        fitting = [template for template in self.paths if fits(template, path)]
        fitting = [template for template in fitting if method.lower() in self.paths[template]]
        assert fitting, f"{method} {path} is not documented"
        return method, min(fitting, key=lambda known: known.count("{"))

    def routes(self) -> set[tuple[str, str]]:
        """All of them."""
        return {(method.upper(), path.removeprefix(PREFIX)) for path, item in self.paths.items() for method in item}

    def check(self, answer: httpx.Response) -> tuple[str, str]:
        """The route of an exchange, which must be as documented, the request too."""
        request = answer.request
        method, path = self.route(request.method, request.url.path)
        operation = self.paths[path][method.lower()]
        query = [self._resolved(parameter) for parameter in operation["parameters"]]
        known = {parameter["name"] for parameter in query if parameter["in"] == "query"}
        assert {name for name, _ in parse_qsl(request.url.query.decode())} <= known, f"{request.url}: {known}"
        self._check_body(request.content, operation.get("requestBody"))
        self._check_answer(answer, operation)
        return method, path.removeprefix(PREFIX)

    def check_answer(self, answer: httpx.Response) -> None:
        """Check an answer to whatever was sent; elsewhere than on documented routes, that it is a Problem."""
        method, path = answer.request.method, answer.request.url.path
        if method == "OPTIONS" or not path.startswith(PREFIX):
            return
        if answer.status_code in FAR and not any(fits(template, path) for template in self.paths):
            self._check_problem(answer)
        elif any(fits(template, path) and method.lower() in item for template, item in self.paths.items()):
            self._check_answer(answer, self.paths[self.route(method, path)[1]][method.lower()])

    def valid(self, schema: dict[str, Any], thing: object) -> None:
        """Check a thing against one of the document's schemas.

        Raises:
            jsonschema_rs.ValidationError: it is none.
        """
        _validator(msgspec.json.encode(schema), self).validate(thing)

    def _check_body(self, sent: bytes, documented: dict[str, Any] | None) -> None:
        if not sent:
            assert not (documented or {}).get("required"), "a body is expected"
            return
        assert documented, "no body is expected"
        self.valid(documented["content"]["application/json"]["schema"], msgspec.json.decode(sent))

    def _check_answer(self, answer: httpx.Response, operation: dict[str, Any]) -> None:
        said = f"{answer.request.method} {answer.request.url}: {answer.status_code}"
        assert str(answer.status_code) in operation["responses"], f"{said} is not documented: {answer.text[:500]}"
        documented = self._resolved(operation["responses"][str(answer.status_code)])
        for name, header in documented["headers"].items():
            assert name in answer.headers or not self._resolved(header).get("required"), f"{said} has no {name}"
        content = documented.get("content", {})
        kind = answer.headers.get("content-type", "").partition(";")[0]
        assert (kind in content) if content else not answer.content, f"{said} is of the kind {kind}"
        if kind == PROBLEM:
            self._check_problem(answer)
        elif kind.endswith(("/json", "+json")) and kind in content:
            self.valid(content[kind]["schema"], answer.json())

    def _check_problem(self, answer: httpx.Response) -> None:
        assert answer.headers["content-type"] == PROBLEM
        problem = answer.json()
        self.valid({"$ref": "#/components/schemas/ProblemDetails"}, problem)
        assert problem["status"] == answer.status_code
        assert problem["request_id"] == answer.headers["x-request-id"]
        assert problem["instance"]

    def _resolved(self, thing: dict[str, Any]) -> dict[str, Any]:
        if "$ref" not in thing:
            return thing
        _, _, kind, name = thing["$ref"].split("/")
        return self.components[kind][name]


@cache
def here() -> Document:
    """The document of the routes that there are now."""
    return Document(msgspec.json.decode(printed()))


@cache
def printed() -> bytes:
    """What `ias openapi` prints."""
    return subprocess.run([BIN / "ias", "openapi"], capture_output=True, check=True, timeout=60).stdout


@cache
def _validator(schema: bytes, document: Document) -> jsonschema_rs.Draft202012Validator:
    whole = {**msgspec.json.decode(schema), "components": document.components}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def fits(template: str, path: str) -> bool:
    """Whether a path is one of a template's."""
    named, given = template.split("/"), path.split("/")
    return len(named) == len(given) and all(
        part.startswith("{") or part == said for part, said in zip(named, given, strict=True)
    )

"""The whole document (OpenAPI 3.1), made of the routes of the API; tests hold the API to it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from litestar.routes import BaseRoute, HTTPRoute

from ias.openapi import refusals
from ias.openapi.operations import Operation, Told
from ias.openapi.parameters import HEADERS
from ias.openapi.schemas import Json, Schemas
from ias.problems import ProblemDetails

__all__ = ["Told", "document"]

METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_ABOUT = """\
Organisations, members, API keys, models, budgets, limits and usage of Inference-as-a-Service.

Log in with `POST /api/v1/auth/login` and send the access token as `Authorization: Bearer …`. Answers of one thing have
an `ETag`; a change with `If-Match` is refused with 412 where somebody else was quicker. A POST with an
`Idempotency-Key` may be sent again. Lists have pages: go on with `next_cursor`. Refusals are
`application/problem+json` (RFC 9457), with every fault of what was sent in `errors`. Fields that a route does not know
are refused. Times are ISO 8601 with an offset from UTC; money is a string, exact.
"""


def document(routes: Iterable[BaseRoute], prefix: str, told: Told) -> bytes:
    """The document in JSON, indented, of the routes below a prefix."""
    found = dict(sorted(_operations(routes, prefix, told)))
    schemas = Schemas(
        [kind for each in found.values() for kind in each.taken()],
        [ProblemDetails, *(kind for each in found.values() for kind in each.given())],
    )
    paths: dict[str, Json] = {}
    for (path, method), operation in found.items():
        paths.setdefault(path, {})[method.lower()] = operation.told_as(schemas)
    whole: Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "Inference-as-a-Service: management API",
            "version": "1",
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": said} for name, said in sorted(told.tags.items())],
        "paths": paths,
        "components": _components(list(found.values()), schemas),
        "security": [{"bearer": []}],
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"


def _operations(routes: Iterable[BaseRoute], prefix: str, told: Told) -> Iterator[tuple[tuple[str, str], Operation]]:
    for route in routes:
        if isinstance(route, HTTPRoute) and route.path_format.startswith(prefix):
            for method, (handler, _) in route.route_handler_map.items():
                if method in METHODS and handler.resolve_include_in_schema():
                    operation = Operation(method, handler, told)
                    yield (route.path_format, method), operation


def _components(operations: Sequence[Operation], schemas: Schemas) -> Json:
    problems = [problem for operation in operations for problem in operation.problems()]
    return {
        "schemas": schemas.components,
        "responses": dict(sorted(_shared(operations, schemas.of(ProblemDetails)))),
        "parameters": HEADERS,
        "headers": refusals.HEADERS,
        "examples": refusals.examples(problems),
        "securitySchemes": {
            "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "The access token that `POST /api/v1/auth/login` answers; it holds for an hour.",
            }
        },
    }


def _shared(operations: Sequence[Operation], schema: Json) -> Iterator[tuple[str, Json]]:
    """Every answer that routes refer to."""
    for operation in operations:
        for problems in operation.shared().values():
            yield refusals.name(problems), refusals.response(problems, schema)

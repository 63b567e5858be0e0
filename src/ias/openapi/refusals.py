"""How the document tells of Problems: those that every route of a kind may answer with are components, told once."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from inspect import cleandoc
from itertools import groupby
from typing import Final

from ias.openapi.parameters import SOME_ID
from ias.openapi.schemas import Json
from ias.problems import PROBLEM_JSON, FieldError, Problem, ProblemDetails, details

HEADERS: Final[Json] = {
    "ETag": {
        "description": "What the thing is now: `If-Match` of the next change.",
        "schema": {"type": "string"},
        "example": '"9f2c1d7e5b8a4036c1e2d3f4a5b69788"',
    },
    "X-Request-Id": {
        "description": "The request's id: the caller's own where it sent one (1 to 64 of A-Z a-z 0-9 . _ -).",
        "required": True,
        "schema": {"type": "string"},
        "example": SOME_ID,
    },
    "Idempotency-Replayed": {
        "description": "`true` where the request was done before, and this is how it was answered then.",
        "schema": {"type": "string", "const": "true"},
    },
    "Retry-After": {
        "description": "After so many seconds it may be tried again.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
        "example": "2",
    },
    "WWW-Authenticate": {
        "description": "How to say who you are.",
        "required": True,
        "schema": {"type": "string", "const": "Bearer"},
    },
}
_LIMITED = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.CONFLICT}


def headers(*names: str) -> Json:
    """References to these, and to the one that every answer has."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in ("X-Request-Id", *names)}


def by_status(problems: Iterable[type[Problem]]) -> dict[int, list[type[Problem]]]:
    """The Problems of each status, in the order of their names."""
    ordered = sorted(dict.fromkeys(problems), key=lambda each: (each.status, each.__name__))
    return {status: list(group) for status, group in groupby(ordered, lambda each: each.status)}


def name(problems: Sequence[type[Problem]]) -> str:
    """What the component of an answer is called."""
    return "Or".join(each.__name__ for each in problems)


def response(problems: Sequence[type[Problem]], schema: Json) -> Json:
    """One answer, for all Problems of one status."""
    status = HTTPStatus(problems[0].status)
    more = ["Retry-After"] if status in _LIMITED else []
    more += ["WWW-Authenticate"] if status is HTTPStatus.UNAUTHORIZED else []
    examples = {each.__name__: {"$ref": f"#/components/examples/{each.__name__}"} for each in problems}
    return {
        "description": " ".join(_said(each) for each in problems),
        "headers": headers(*more),
        "content": {PROBLEM_JSON: {"schema": schema, "examples": examples}},
    }


def examples(problems: Iterable[type[Problem]]) -> Json:
    """An example of each."""
    return {
        each.__name__: {"summary": each.title, "value": _example(each)}
        for each in sorted(dict.fromkeys(problems), key=lambda each: each.__name__)
    }


def _example(problem: type[Problem]) -> ProblemDetails:
    faults = (FieldError("/name", "is required"),) if problem.__name__ == "BadRequest" else ()
    said = "name: is required" if faults else _said(problem)
    return details(problem(said, faults), "/api/v1/organizations", SOME_ID)


def _said(problem: type[Problem]) -> str:
    return " ".join(cleandoc(problem.__doc__ or problem.title).partition("\n\n")[0].split())

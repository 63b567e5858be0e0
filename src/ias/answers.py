"""What every answer of the API has, whatever its handler says: faults in one form (RFC 9457), and ETags."""

from http import HTTPStatus

import asyncpg
import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from loguru import logger

from ias.conditions import etag
from ias.db import DatabaseDown
from ias.edge import EdgeDown
from ias.paging import BadCursor, Page
from ias.problems import FieldError, Problem, Unavailable, details

PROBLEM_JSON = "application/problem+json"

AnyRequest = Request[object, object, State]


def tagged(response: Response[object]) -> Response[object]:
    """Tell the state of the one thing that is answered; whoever changes it may send it back as `If-Match`."""
    thing = response.content
    if isinstance(thing, msgspec.Struct) and not isinstance(thing, Page):
        response.headers.setdefault("ETag", etag(thing))
    return response


def _answer(request: AnyRequest, problem: Problem) -> Response[bytes]:
    request_id = str(request.scope["state"].get("request_id", ""))
    headers = {"Cache-Control": "no-store"}
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    body = msgspec.json.encode(details(problem, request.url.path, request_id))
    return Response(body, media_type=PROBLEM_JSON, status_code=problem.status, headers=headers)


def _with_status(status: int, detail: str, errors: tuple[FieldError, ...] = ()) -> Problem:
    problem = Problem(detail, errors)
    problem.status, problem.title = status, HTTPStatus(status).phrase
    return problem


def _http(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    errors = tuple(_field(fault) for fault in error.extra or () if isinstance(fault, dict))
    detail = "; ".join(f"{fault.pointer[1:]}: {fault.detail}".removeprefix(": ") for fault in errors) or error.detail
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _bug(request, error)
    return _answer(request, _with_status(error.status_code, detail, errors))


def _field(fault: dict[str, str]) -> FieldError:
    """Litestar's fault as a JSON pointer: its key is dotted, and `data` where it is the body itself."""
    key, said = fault.get("key", ""), fault.get("message", "")
    if key == "data":
        return FieldError("", "a JSON body is expected" if said == "'data'" else said)
    return FieldError("/" + key.replace(".", "/"), said)


def _down(request: AnyRequest, error: Exception) -> Response[bytes]:
    logger.bind(request_id=request.scope["state"].get("request_id")).error(f"{type(error).__name__}: {error}")
    return _answer(request, Unavailable("a dependency does not answer; try again in a moment"))


def _bad_value(request: AnyRequest, _: Exception) -> Response[bytes]:
    return _answer(request, _with_status(400, "a value has characters in it that cannot be stored"))


def _bug(request: AnyRequest, error: Exception) -> Response[bytes]:
    logger.bind(request_id=request.scope["state"].get("request_id")).opt(exception=error).error("unexpected failure")
    return _answer(request, _with_status(500, "something went wrong here; the log has it under this request's id"))


FAULTS: ExceptionHandlersMap = {
    Problem: _answer,
    BadCursor: lambda request, error: _answer(request, _with_status(400, str(error))),
    HTTPException: _http,
    DatabaseDown: _down,
    EdgeDown: _down,
    asyncpg.PostgresConnectionError: _down,
    asyncpg.InterfaceError: _down,
    asyncpg.QueryCanceledError: _down,
    asyncpg.DataError: _bad_value,
    Exception: _bug,
}

"""What every answer has, whatever its handler says: faults in one form (RFC 9457), or as a page; and ETags."""

from http import HTTPStatus

import asyncpg
import msgspec
from litestar import Request, Response
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.types import ExceptionHandlersMap
from loguru import logger
from msgspec import UNSET

from ias.bodies import in_json_terms
from ias.conditions import etag
from ias.console.faults import fault_page, wants_page
from ias.db import DatabaseDown
from ias.edge import EdgeDown
from ias.paging import BadCursor, Page
from ias.problems import (
    PROBLEM_JSON,
    BadRequest,
    BodyTooLarge,
    FieldError,
    MethodNotAllowed,
    NotFound,
    NotJson,
    Problem,
    Unavailable,
    Unexpected,
    details,
)

AnyRequest = Request[object, object, State]

_OF_STATUS: dict[int, type[Problem]] = {
    kind.status: kind for kind in (BadRequest, NotFound, MethodNotAllowed, BodyTooLarge, NotJson)
}


async def tagged(response: Response[object]) -> Response[object]:
    """Tell the state of the one thing that is answered; whoever changes it may send it back as `If-Match`."""
    thing = response.content
    if isinstance(thing, msgspec.Struct) and not isinstance(thing, Page):
        response.headers.setdefault("ETag", etag(thing))
    return response


def _answer(request: AnyRequest, problem: Problem) -> Response[bytes]:
    if wants_page(request):
        return fault_page(request, problem)
    request_id = str(request.scope["state"].get("request_id", ""))
    headers = {"Cache-Control": "no-store"}
    if problem.retry_after_s is not None:
        headers["Retry-After"] = str(problem.retry_after_s)
    if problem.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    body = msgspec.json.encode(details(problem, request.url.path, request_id))
    return Response(body, media_type=PROBLEM_JSON, status_code=problem.status, headers=headers)


def _http(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """What Litestar refuses before a handler is asked."""
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return _bug(request, error)
    errors = tuple(_fault(fault) for fault in error.extra or () if isinstance(fault, dict))
    known = _DETAILS_OF_PAGES if wants_page(request) else _DETAILS
    detail = "; ".join(fault.said() for fault in errors) or known.get(error.status_code, error.detail)
    kind = _OF_STATUS.get(error.status_code)
    answer = _answer(request, _with_status(error.status_code, detail) if kind is None else kind(detail, errors))
    answer.headers.update(error.headers or {})
    return answer


def _with_status(status: int, detail: str) -> Problem:
    problem = Problem(detail)
    problem.status, problem.title = status, HTTPStatus(status).phrase
    return problem


def _fault(fault: dict[str, str]) -> FieldError:
    """Litestar's fault: its key is the handler's argument, `data` where it is the body."""
    key, said = fault.get("key", ""), fault.get("message", "")
    if key == "data":
        return FieldError("", "a JSON body is expected")
    return FieldError(UNSET, in_json_terms(said), parameter=key.rstrip("_"))


def _bad_cursor(request: AnyRequest, error: BadCursor) -> Response[bytes]:
    said = str(error).removeprefix("cursor: ")
    return _answer(request, BadRequest(str(error), (FieldError(UNSET, said, parameter="cursor"),)))


def _down(request: AnyRequest, error: Exception) -> Response[bytes]:
    logger.bind(request_id=request.scope["state"].get("request_id")).error(f"{type(error).__name__}: {error}")
    return _answer(request, Unavailable("a dependency does not answer; try again in a moment"))


def _crossed(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Two transactions waited for each other, and PostgreSQL undid this one."""
    logger.bind(request_id=request.scope["state"].get("request_id")).error(f"{type(error).__name__}: {error}")
    return _answer(request, Unavailable("somebody changed the same at the same moment; try again in a moment"))


def _bad_value(request: AnyRequest, _: Exception) -> Response[bytes]:
    return _answer(request, BadRequest("a value has characters in it that cannot be stored"))


def _bug(request: AnyRequest, error: Exception) -> Response[bytes]:
    logger.bind(request_id=request.scope["state"].get("request_id")).opt(exception=error).error("unexpected failure")
    return _answer(request, Unexpected("something went wrong here; the log has it under this request's id"))


_DETAILS = {
    404: "there is nothing at this path; /api/v1/docs shows what there is",
    405: "this path does not take this method; the header Allow names those that it takes",
    413: "a body may have 1 MiB",
}

_DETAILS_OF_PAGES = {
    404: "there is no page at this address",
    405: "this address is a step of a form; open the page that has the form",
    413: "a form may have 1 MiB",
}

FAULTS: ExceptionHandlersMap = {
    Problem: _answer,
    BadCursor: _bad_cursor,
    HTTPException: _http,
    DatabaseDown: _down,
    EdgeDown: _down,
    asyncpg.PostgresConnectionError: _down,
    asyncpg.InterfaceError: _down,
    asyncpg.QueryCanceledError: _down,
    asyncpg.DeadlockDetectedError: _crossed,
    asyncpg.DataError: _bad_value,
    Exception: _bug,
}

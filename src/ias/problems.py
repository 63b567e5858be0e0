"""Expected failures. Each is a named Problem with its status, written beside the verb that raises it (RFC 9457)."""

import re
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

PROBLEM_JSON: Final = "application/problem+json"
RAISED: Final = "raised"
"""The key of a handler's `opt` under which the document finds what `raising` says."""

_WORD = re.compile(r"(?<!^)(?=[A-Z])")


class FieldError(msgspec.Struct, frozen=True):
    """One fault in what was sent: where it is, and what to do about it.

    Attributes:
        pointer: the place in the body, a JSON pointer (RFC 6901); empty is the body as a whole.
        detail: what to do about it.
        parameter: the name of the query parameter, where it is one.
        header: the name of the header, where it is one.
    """

    pointer: str | UnsetType = UNSET
    detail: str = ""
    parameter: str | UnsetType = UNSET
    header: str | UnsetType = UNSET

    @property
    def place(self) -> str:
        """Where it is, for people; empty for the body as a whole."""
        named = (said for said in (self.parameter, self.header) if said is not UNSET)
        return next(named, "") if self.pointer is UNSET else self.pointer.removeprefix("/")

    def said(self) -> str:
        """The fault in one line."""
        return f"{self.place}: {self.detail}" if self.place else self.detail


class Problem(Exception):
    """An expected failure of the management API.

    A subclass gives `status` and `title`; its `type` is made of its name, so that clients can tell it apart whatever
    it says. The message is the `detail`.
    """

    status = 400
    title = "Bad request"
    type = "about:blank"
    retry_after_s: int | None = None

    def __init_subclass__(cls) -> None:
        cls.type = f"urn:ias:problem:{_WORD.sub('-', cls.__name__).lower()}"

    def __init__(self, detail: str = "", errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = errors


class ProblemDetails(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Why a request was refused (RFC 9457).

    Attributes:
        type: what to tell kinds of problems apart by; it never changes for one kind.
        title: the kind in words.
        status: the status of the answer.
        detail: one sentence that says what to do.
        instance: the path that was asked for.
        request_id: the answer's `X-Request-Id`; the server's log has it.
        errors: every fault of what was sent, where that is what is wrong.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""
    request_id: str = ""
    errors: tuple[FieldError, ...] = ()


class BadRequest(Problem):
    """What was sent is not what this route takes; `errors` says where."""


class NotFound(Problem):
    """There is no such thing, or it belongs to somebody else: the answer is the same."""

    status = 404
    title = "Not found"


class MethodNotAllowed(Problem):
    """The path is there, but not for this method; `Allow` names those that it has."""

    status = 405
    title = "Method not allowed"


class BadFilter(Problem):
    """What is listed cannot be narrowed like that."""

    title = "Bad filter"


class Conflict(Problem):
    """The state of the thing does not allow this."""

    status = 409
    title = "Conflict"


class BodyTooLarge(Problem):
    """A body may have 1 MiB."""

    status = 413
    title = "Body is too large"


class NotJson(Problem):
    """Bodies are JSON, and say so: `Content-Type: application/json`."""

    status = 415
    title = "Unsupported media type"


class Unexpected(Problem):
    """A fault of the server; its log tells of it under the answer's request id."""

    status = 500
    title = "Internal server error"


class Unavailable(Problem):
    """A dependency is down; the caller should come back."""

    status = 503
    title = "Service unavailable"
    retry_after_s = 2


def raising(*problems: type[Problem]) -> dict[str, object]:
    """For a handler's `opt`: the Problems that it may answer with, besides those that every route has."""
    return {RAISED: problems}


def details(problem: Problem, instance: str, request_id: str) -> ProblemDetails:
    """The wire form of a Problem, for the request with this path and id."""
    return ProblemDetails(
        type=problem.type,
        title=problem.title,
        status=problem.status,
        detail=problem.detail,
        instance=instance,
        request_id=request_id,
        errors=problem.errors,
    )

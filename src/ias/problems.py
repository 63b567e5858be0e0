"""Expected failures. Each is a named Problem with its status, written beside the verb that raises it (RFC 9457)."""

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """One fault in what was sent: a JSON pointer to the place, and what to do about it."""

    pointer: str
    detail: str


class Problem(Exception):
    """An expected failure of the management API.

    A subclass gives `status`, `title` and, where clients should tell it apart, `type`; the message is the `detail`.
    """

    status = 400
    title = "Bad request"
    type = "about:blank"
    retry_after_s: int | None = None

    def __init__(self, detail: str = "", errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.errors = errors


class ProblemDetails(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The wire form, `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str = ""
    request_id: str = ""
    errors: tuple[FieldError, ...] = ()


class NotFound(Problem):
    """There is no such thing, or it belongs to somebody else: the answer is the same."""

    status = 404
    title = "Not found"


class Conflict(Problem):
    """The state of the thing does not allow this."""

    status = 409
    title = "Conflict"


class Unavailable(Problem):
    """A dependency is down; the caller should come back."""

    status = 503
    title = "Service unavailable"
    retry_after_s = 2


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

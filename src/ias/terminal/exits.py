"""Exit codes, the same for every command."""

from enum import IntEnum
from http import HTTPStatus


class Exit(IntEnum):
    """How a command ended."""

    OK = 0
    ERROR = 1
    USAGE = 2
    CHANGES = 3
    AUTHENTICATION = 4
    NOT_FOUND = 5
    DENIED = 6
    CONFLICT = 7
    LIMITED = 8
    UNREACHABLE = 9


_BY_STATUS = {
    HTTPStatus.BAD_REQUEST: Exit.USAGE,
    HTTPStatus.UNAUTHORIZED: Exit.AUTHENTICATION,
    HTTPStatus.FORBIDDEN: Exit.DENIED,
    HTTPStatus.NOT_FOUND: Exit.NOT_FOUND,
    HTTPStatus.CONFLICT: Exit.CONFLICT,
    HTTPStatus.GONE: Exit.NOT_FOUND,
    HTTPStatus.PRECONDITION_FAILED: Exit.CONFLICT,
    HTTPStatus.UNPROCESSABLE_ENTITY: Exit.CONFLICT,
    HTTPStatus.TOO_MANY_REQUESTS: Exit.LIMITED,
    HTTPStatus.BAD_GATEWAY: Exit.UNREACHABLE,
    HTTPStatus.SERVICE_UNAVAILABLE: Exit.UNREACHABLE,
    HTTPStatus.GATEWAY_TIMEOUT: Exit.UNREACHABLE,
}


def of_status(status: int) -> Exit:
    """The exit code of a command that the API refused with this status."""
    try:
        return _BY_STATUS.get(HTTPStatus(status), Exit.ERROR)
    except ValueError:
        return Exit.ERROR

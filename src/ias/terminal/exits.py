"""Exit codes, the same for every command, and ending with one."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from http import HTTPStatus
from typing import NoReturn

from ias.client import Refused, Unreachable
from ias.terminal.output import close, say
from ias.terminal.profiles import BadProfiles


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


@contextmanager
def told(to_log_in: str = "") -> Iterator[None]:
    """What goes wrong inside is told on stderr and becomes the exit code; `to_log_in` is what helps without a session.

    Raises:
        SystemExit: it failed.
    """
    try:
        yield
        close()
    except Refused as refused:
        _end_refused(refused, to_log_in)
    except Unreachable as error:
        end(str(error), Exit.UNREACHABLE)
    except BadProfiles as error:
        end(str(error), Exit.ERROR)


def _end_refused(refused: Refused, to_log_in: str) -> NoReturn:
    problem = refused.problem
    faults = "".join(f"\n  {fault.place or '/'}: {fault.detail}" for fault in problem.errors)
    wait = f" (try again in {refused.retry_after} s)" if refused.retry_after else ""
    seen = f" [request {problem.request_id}]" if problem.request_id else ""
    mend = f"; {to_log_in}" if problem.status == HTTPStatus.UNAUTHORIZED and to_log_in else ""
    if problem.status == HTTPStatus.PRECONDITION_FAILED:
        mend = "; run the command again to change what it is now"
    end(f"{problem.detail}{mend}{wait}{faults}{seen}", of_status(problem.status))


def end(message: str, code: Exit) -> NoReturn:
    """Tell what is wrong, and end.

    Raises:
        SystemExit: always.
    """
    say(f"error: {message}")
    raise SystemExit(int(code))

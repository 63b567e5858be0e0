"""Exit codes, the same for every command, and ending with one."""

from collections.abc import Callable
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
_MEND = {
    HTTPStatus.UNAUTHORIZED: "; run `ias-admin login`",
    HTTPStatus.PRECONDITION_FAILED: "; run the command again to change what it is now",
}


def of_status(status: int) -> Exit:
    """The exit code of a command that the API refused with this status."""
    try:
        return _BY_STATUS.get(HTTPStatus(status), Exit.ERROR)
    except ValueError:
        return Exit.ERROR


def with_exit_code(work: Callable[[], None]) -> None:
    """Do it; a failure is told on stderr and becomes the exit code.

    Raises:
        SystemExit: it failed.
    """
    try:
        work()
        close()
    except Refused as refused:
        _end_refused(refused)
    except Unreachable as error:
        end(str(error), Exit.UNREACHABLE)
    except BadProfiles as error:
        end(str(error), Exit.ERROR)


def _end_refused(refused: Refused) -> NoReturn:
    problem = refused.problem
    faults = "".join(f"\n  {fault.pointer or '/'}: {fault.detail}" for fault in problem.errors)
    wait = f" (try again in {refused.retry_after} s)" if refused.retry_after else ""
    seen = f" [request {problem.request_id}]" if problem.request_id else ""
    mend = _MEND.get(HTTPStatus(problem.status), "") if problem.status in _MEND else ""
    end(f"{problem.detail}{mend}{wait}{faults}{seen}", of_status(problem.status))


def end(message: str, code: Exit) -> NoReturn:
    """Tell what is wrong, and end.

    Raises:
        SystemExit: always.
    """
    say(f"error: {message}")
    raise SystemExit(int(code))

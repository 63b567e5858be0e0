"""What is told about a request once it is over: the contract's `Facts` as JSON, written in one piece.

To make the Struct and to encode it takes five times as long.
"""

from typing import Final

from ias_gateway.clock import now, unix_us
from ias_gateway.live import Open
from ias_gateway.served import Served

_THOUSANDTHS: Final = [b".%03d" % part for part in range(1000)]
_MILLIONTHS: Final = 6


class Times:
    """When what happened of a request, in monotonic seconds; None for what did not."""

    __slots__ = ("ended", "first", "sent", "started")

    def __init__(self, started: float, sent: float | None, first: float | None) -> None:
        self.started = started
        self.sent = sent
        self.first = first
        self.ended = now()


def account(opened: Open, route: Served, gateway: bytes, replica: tuple[bytes, int], times: Times) -> bytes:
    """The facts of a request: `gateway` and where it was sent are JSON already; with the latter the status came back.

    Ids are UUIDs, and endpoints names of ours: neither holds what JSON would write in another way.
    """
    admitted, ask, started, sent, first = opened.admitted, opened.ask, times.started, times.sent, times.first
    began = b"%d" % (unix_us() - int((times.ended - started) * 1e6))
    return (
        b'{"organisation":"%b","user":"%b","key":"%b",%b,"endpoint":"%b","started_at":%b.%b,'
        b'"streamed":%b,"gateway":%b,"replica":%b,"status":%d,"duration_ms":%b%b%b}'
        % (
            admitted.org.encode(),
            admitted.user.encode(),
            admitted.key.encode(),
            route.told,
            ask.endpoint.encode(),
            began[:-_MILLIONTHS],
            began[-_MILLIONTHS:],
            b"true" if ask.streamed else b"false",
            gateway,
            replica[0],
            replica[1],
            milliseconds(times.ended - started),
            b"" if sent is None else b',"queue_ms":' + milliseconds(sent - started),
            b"" if first is None else b',"first_token_ms":' + milliseconds(first - started),
        )
    )


def milliseconds(seconds: float) -> bytes:
    """A span that is not negative in milliseconds, to the microsecond."""
    micro = int(seconds * 1e6)
    return b"%d%b" % (micro // 1000, _THOUSANDTHS[micro % 1000])


def request_line(process: bytes, request_id: str, endpoint: str, ended: tuple[int, float]) -> bytes:
    """A request's line of the log: `process` is JSON already, `ended` its status and how many seconds it took."""
    moment = b"%d" % unix_us()
    return (
        b'{"time":%b.%b,"process":%b,"request_id":"%b","endpoint":"%b","status":%d,"duration_ms":%b,"level":"info",'
        b'"event":"request"}'
        % (
            moment[:-_MILLIONTHS],
            moment[-_MILLIONTHS:],
            process,
            request_id.encode(),
            endpoint.encode(),
            ended[0],
            milliseconds(ended[1]),
        )
    )

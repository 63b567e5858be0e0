"""What is told about a request once it is over: the contract's `Facts` as JSON, written in one piece.

To make the Struct and to encode it takes five times as long.
"""

from typing import Final

from ias_gateway.clock import now, unix_us
from ias_gateway.live import Open
from ias_gateway.served import Served

_THOUSANDTHS: Final = [f".{part:03d}" for part in range(1000)]
_MILLIONTHS: Final = 6


class Times:
    """When what happened of a request, in monotonic seconds; None for what did not."""

    __slots__ = ("ended", "first", "sent", "started")

    def __init__(self, started: float, sent: float | None, first: float | None) -> None:
        self.started = started
        self.sent = sent
        self.first = first
        self.ended = now()


def account(opened: Open, route: Served, gateway: str, replica: tuple[str, int], times: Times) -> bytes:
    """The facts of a request: `gateway` and where it was sent are JSON already; with the latter the status came back.

    Ids are UUIDs, and endpoints names of ours: neither holds what JSON would write in another way.
    """
    admitted, ask, started, sent, first = opened.admitted, opened.ask, times.started, times.sent, times.first
    began = str(unix_us() - int((times.ended - started) * 1e6))
    streamed = "true" if ask.streamed else "false"
    queue = "" if sent is None else f',"queue_ms":{milliseconds(sent - started)}'
    until_first = "" if first is None else f',"first_token_ms":{milliseconds(first - started)}'
    return (
        f'{{"organisation":"{admitted.org}","user":"{admitted.user}","key":"{admitted.key}",{route.told},'
        f'"endpoint":"{ask.endpoint}","started_at":{began[:-_MILLIONTHS]}.{began[-_MILLIONTHS:]},'
        f'"streamed":{streamed},"gateway":{gateway},"replica":{replica[0]},"status":{replica[1]},'
        f'"duration_ms":{milliseconds(times.ended - started)}{queue}{until_first}}}'
    ).encode()


def milliseconds(seconds: float) -> str:
    """A span that is not negative in milliseconds, to the microsecond."""
    micro = int(seconds * 1e6)
    return f"{micro // 1000}{_THOUSANDTHS[micro % 1000]}"


def request_line(process: str, request_id: str, endpoint: str, ended: tuple[int, float]) -> bytes:
    """A request's line of the log: `process` is JSON already, `ended` its status and how many seconds it took."""
    moment = str(unix_us())
    return (
        f'{{"time":{moment[:-_MILLIONTHS]}.{moment[-_MILLIONTHS:]},"process":{process},"request_id":"{request_id}",'
        f'"endpoint":"{endpoint}","status":{ended[0]},"duration_ms":{milliseconds(ended[1])},"level":"info",'
        f'"event":"request"}}'
    ).encode()

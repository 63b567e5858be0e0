"""The gateway's crash points: what a request passes is wrapped at start, and only where one is set."""

from collections.abc import Callable

from ias.contract.admission import Admitted, Ask, Refused
from ias.contract.crashpoints import Crashpoint, arm, reached
from ias.contract.usage import Outcome
from ias_gateway.admission import Caller
from ias_gateway.asked import Reply
from ias_gateway.ledger import Ledger
from ias_gateway.live import Open
from ias_gateway.log import Log
from ias_gateway.redis import Redis
from ias_gateway.reply import Reply as Answer
from ias_gateway.upstream import Connection, Sink


def arm_gateway(told: str, log: Log) -> None:
    """Put the named crash point in; call it before the first request.

    Raises:
        ValueError: there is no such point.
    """
    point = arm(told)
    if point in _PLACES:
        log.line("error", "IAS_CRASHPOINT is set: this process will kill itself", point=told)
        log.flush()
        _PLACES[point]()


def _after_reserve() -> None:
    reserved = Ledger.reserved

    def reading(self: Ledger, caller: Caller, request_id: str, ask: Ask, reply: Reply) -> Admitted | Refused:
        answer = reserved(self, caller, request_id, ask, reply)
        if isinstance(answer, Admitted):
            reached(Crashpoint.AFTER_RESERVE)
        return answer

    Ledger.reserved = reading  # type: ignore[method-assign]  # armed for a test of faults


def _after_dispatch() -> None:
    send = Connection.send

    def sending(self: Connection, sink: Sink, message: bytes) -> None:
        send(self, sink, message)
        if isinstance(sink, Answer):
            reached(Crashpoint.AFTER_DISPATCH)

    Connection.send = sending  # type: ignore[method-assign]  # armed for a test of faults


def _after_first_chunk() -> None:
    read = Answer.data

    def reading(self: Answer, data: bytes, *, last: bool) -> None:
        first = self.scanner is not None and self.first_at is None
        read(self, data, last=last)
        if first:
            reached(Crashpoint.AFTER_FIRST_CHUNK)

    Answer.data = reading  # type: ignore[method-assign]  # armed for a test of faults


def _before_settle() -> None:
    settle = Ledger.settle

    def settling(
        self: Ledger, request: Open, tokens: tuple[int, int, int], ending: tuple[Outcome, bool], facts: bytes
    ) -> None:
        reached(Crashpoint.BEFORE_SETTLE)
        settle(self, request, tokens, ending, facts)

    Ledger.settle = settling  # type: ignore[method-assign]  # armed for a test of faults


def _after_settle() -> None:
    flushed = Redis.flushed

    async def flushing(self: Redis, tag: str) -> None:
        await flushed(self, tag)
        reached(Crashpoint.AFTER_SETTLE)

    Redis.flushed = flushing  # type: ignore[method-assign, assignment]  # armed for a test of faults


_PLACES: dict[Crashpoint | None, Callable[[], None]] = {
    Crashpoint.AFTER_RESERVE: _after_reserve,
    Crashpoint.AFTER_DISPATCH: _after_dispatch,
    Crashpoint.AFTER_FIRST_CHUNK: _after_first_chunk,
    Crashpoint.BEFORE_SETTLE: _before_settle,
    Crashpoint.AFTER_SETTLE: _after_settle,
}

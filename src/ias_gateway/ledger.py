"""Reserve, tick, settle: this process's side of the accounting protocol.

A settlement is kept here until the outbox entry that it made has gone, which the janitor does only once the ledger has
it. Whenever the server is another one, or what it holds of an organisation began anew, all that is kept is sent again:
the first one wins, so that repeating changes nothing, and what Redis has lost is put back. So are the reservations of
requests under way that Redis does not know.
"""

import asyncio
from collections.abc import Iterable
from functools import partial
from time import monotonic, time
from typing import cast

from ias.contract import admission
from ias.contract.admission import Admitted, Ask, Refused
from ias.contract.told import entry_of, read_reserve, settlement
from ias.contract.usage import Outcome
from ias_gateway import calls
from ias_gateway.admission import Caller
from ias_gateway.asked import Asked, Asking, Listener, RedisDown, Reply, Then
from ias_gateway.epochs import Epochs
from ias_gateway.fiber import Pause
from ias_gateway.kept import Kept
from ias_gateway.live import Meter, Open, never_sent
from ias_gateway.log import Log
from ias_gateway.redis import Argument, pack
from ias_gateway.settled import Settled
from ias_gateway.shards import Here
from ias_gateway.store import Store, everywhere
from ias_gateway.telemetry import Metrics

MAX_SKEW_S = 30
_SWEPT = "swept"
_UNKNOWN = "unknown"


class Ledger:
    """All that this process has open, and all that it has settled but not seen in the ledger."""

    def __init__(self, redis: Store, holder: tuple[str, int], metrics: Metrics, log: Log) -> None:
        self.open: dict[str, Open] = {}
        self.skew_s = 0.0
        self.unsettled: dict[str, tuple[str, bytes]] = {}
        self._redis = redis
        self._asking: Asking = redis
        self._who = holder
        self._gateway, self._lease = holder
        self._holder = calls.argument(holder[0])
        self._metrics, self._log = metrics, log
        self._counted = Settled(metrics)
        self._kept, self._epochs = Kept(), Epochs()
        self._loop = asyncio.get_running_loop()
        self._progress, self._awaited = asyncio.Event(), False

    def reserve(self, caller: Caller, request_id: str, ask: Ask) -> Asked:
        """Ask Redis whether this request may run, and to hold its tokens where it may; `reserved` reads the answer.

        Raises:
            RedisDown: there is no connection; when awaited, no answer.
        """
        call = calls.reserve(caller, request_id, ask, self._who)
        return self._asking.ask(caller.tag, call, _Late(self, caller, request_id, ask))

    def reserved(self, caller: Caller, request_id: str, ask: Ask, reply: Reply) -> Admitted | Refused:
        """What was decided; a request that was let in is open from now on.

        `Near` is answered to a guess alone: the prompt is to be counted.
        """
        answer = read_reserve(cast("admission.Reply", reply))
        if isinstance(answer, Admitted):
            self.open[request_id] = Open(caller, request_id, ask, answer)
        return answer

    async def unknown_organisation(self, tag: str) -> Refused:
        """Why Redis knows nothing of an organisation: there is none, or it has not been projected yet."""
        whole = await self._redis.whole(tag)
        return admission.BadKey() if whole else admission.NotReady(unknown_org=True)

    def settle(self, request: Open, tokens: tuple[int, int, int], ending: tuple[Outcome, bool], facts: bytes) -> None:
        """Close a request: sent to Redis before anything that is written to the client later in this turn of the loop.

        `ending` is the outcome and whether the tokens are estimated, `facts` the JSON of `Facts`.
        """
        self.open.pop(request.request_id, None)
        told = settlement(request.request_id, tokens, ending)
        self._counted.note(request.ask.model, tokens, request.admitted.held, ending[0])
        # As bytes: that is what is kept, and the collector has no look at it.
        call = calls.settle(request.caller, told, facts, request.admitted, self._holder)
        self.send(request.tag, request.request_id, call)

    def told(self, tag: str) -> Pause[None]:
        """Wait until what Redis is to hear of an organisation has been handed to the kernel."""
        return self._asking.flushed(tag)

    def release(self, caller: Caller, request_id: str, ask: Ask, reply: Reply) -> None:
        """Close a request that was admitted when its caller had been told that it could not be decided."""
        if not isinstance(reply, list) or request_id in self.unsettled:
            return
        answer = read_reserve(reply)
        if not isinstance(answer, Admitted):
            return
        self.settle(
            Open(caller, request_id, ask, answer),
            (0, 0, 0),
            (Outcome.REJECTED, False),
            never_sent(ask, answer, self._gateway),
        )

    def tick(self) -> None:
        """Extend leases, store tokens so far, learn what must be cut and what the ledger has."""
        self._metrics.open.values[()] = len(self.open)
        self._metrics.unsettled.values[()] = len(self.unsettled)
        self._metrics.kept.values[()] = self._kept.count
        self._metrics.redis_up.values[()] = int(self._redis.connected)
        now, risk = monotonic(), 0
        for request in tuple(self.open.values()):
            risk += request.admitted.risk
            if request.meter is not None:
                self._look(request.meter, now)
        self._metrics.at_risk.values[()] = risk
        if self._redis.connected:
            self._checkpoint()

    def _look(self, meter: Meter, now: float) -> None:
        try:
            meter.look(now)
        except Exception as error:  # noqa: BLE001 - one request must not cost the others their leases
            self._log.line("error", "a request could not be looked at", error=repr(error))

    def _checkpoint(self) -> None:
        checkpoints: dict[str, list[Argument]] = {tag: [] for tag in self._kept.tags}
        for request in self.open.values():
            checkpoints.setdefault(request.tag, []).extend((request.request_id, *request.tokens))
        self._epochs.forget_all_but(checkpoints)
        for tag, flat in checkpoints.items():
            self._redis.write(tag, Then(partial(self._ticked, tag)), pack(admission.tick(tag, self._lease, flat)))

    def resend(self, *, same: bool, here: Here = everywhere) -> None:
        """Send again what Redis may not have; where it is not the server that it was, also what it had.

        `here` says of an organisation's tag whether it is meant.
        """
        again = [(tag, rid, packed) for rid, (tag, packed) in self.unsettled.items() if here(tag)]
        if not same:
            self._resend_kept([tag for tag in self._kept.tags if here(tag)])
        for tag, rid, packed in again:
            self.send(tag, rid, packed)

    def _resend_kept(self, tags: Iterable[str]) -> None:
        for tag in tags:
            for _, rid, packed in self._kept.take(tag):
                self.send(tag, rid, packed)

    async def all_settled(self) -> None:
        """Wait until Redis has confirmed every settlement."""
        self._awaited = True
        while self.unsettled:
            await self._progress.wait()
            self._progress.clear()

    def cut_all(self, outcome: Outcome) -> None:
        """End all that is open."""
        for request in tuple(self.open.values()):
            if request.meter is not None:
                request.meter.cut(outcome)

    def send(self, tag: str, request_id: str, packed: bytes) -> None:
        """Send a settlement; until Redis confirms it, it is kept as `unsettled`."""
        self.unsettled[request_id] = (tag, packed)
        self._asking.write(tag, _Settling(self, tag, request_id, packed), packed, last=True)

    def settled(self, tag: str, request_id: str, packed: bytes, reply: Reply) -> None:
        """Take in what Redis says to a settlement."""
        if not isinstance(reply, list) and isinstance(reply, Exception):  # a list is told from all else at once
            if not isinstance(reply, RedisDown):
                self._log.line("error", "a settlement was refused", request_id=request_id, error=str(reply))
                self._loop.call_later(1.0, self._try_again, tag, request_id)
            return
        self.unsettled.pop(request_id, None)
        if self._awaited:
            self._progress.set()
        self._kept.keep(tag, entry_of(cast("admission.Reply", reply)), request_id, packed)

    def _try_again(self, tag: str, request_id: str) -> None:
        waiting = self.unsettled.get(request_id)
        if waiting is not None:
            self.send(tag, request_id, waiting[1])

    def _ticked(self, tag: str, reply: Reply) -> None:
        if isinstance(reply, Exception):
            if not isinstance(reply, RedisDown):
                self._log.line("error", "a tick was refused", error=str(reply))
            return
        found = admission.read_tick(cast("admission.Reply", reply))
        self.skew_s = abs(time() - found.now)
        if self._epochs.is_new(tag, found, self._kept.oldest_ms(tag)) or found.lost:
            self._resend_kept((tag,))
        else:
            self._kept.let_go(tag, found.first)
        for request_id, reason in found.marks:
            request = self.open.get(request_id)
            if request is not None:
                self._mark(request, reason)

    def _mark(self, request: Open, reason: str) -> None:
        """Do about a request what a tick has found."""
        if reason == _UNKNOWN:
            self._metrics.reasserted.values[()] += 1
            self._log.line("warning", "a request that Redis lost is put back", request_id=request.request_id)
            # Where this fails, the next tick finds it again.
            self._redis.write(request.tag, Then(_ignored), pack(request.reassertion(self._who)))
        elif request.meter is not None:
            self._log.line("warning", "a request is cut", request_id=request.request_id, reason=reason)
            request.meter.cut(Outcome.DRAINED if reason == _SWEPT else Outcome.CUT)


class _Settling(Listener):
    """A settlement under way to Redis."""

    __slots__ = ("_ledger", "_packed", "_request_id", "_tag")

    def __init__(self, ledger: Ledger, tag: str, request_id: str, packed: bytes) -> None:
        self._ledger = ledger
        self._tag = tag
        self._request_id = request_id
        self._packed = packed

    def answered(self, reply: Reply) -> None:
        self._ledger.settled(self._tag, self._request_id, self._packed, reply)


class _Late(Listener):
    """A reservation, whose answer may come after its caller was told that there is none."""

    __slots__ = ("_ask", "_caller", "_ledger", "_request_id")

    def __init__(self, ledger: Ledger, caller: Caller, request_id: str, ask: Ask) -> None:
        self._ledger = ledger
        self._caller = caller
        self._request_id = request_id
        self._ask = ask

    def answered(self, reply: Reply) -> None:
        self._ledger.release(self._caller, self._request_id, self._ask, reply)


def _ignored(reply: Reply) -> None:
    """Whatever Redis says."""

"""Early dispatch: a request goes to its engine while Redis is asked whether it may run. See decision 0020.

Nothing is decided here. The reservation is with the kernel before the engine hears of the request, the client hears
nothing before Redis has let it in, and where Redis does not, the engine's connection is closed at once. It is done
where the caller's last request for the model was let in a moment ago, with all limits ample: what is refused then is
what was revoked, suspended or changed since.
"""

from typing import Final

from ias.contract.admission import Admitted
from ias.contract.usage import Outcome
from ias_gateway.account import Times, account
from ias_gateway.admission import Caller
from ias_gateway.asked import Asked
from ias_gateway.bodies.strict import BadBody
from ias_gateway.dispatch import Attempt, begin
from ias_gateway.door import Door
from ias_gateway.lead import Lead
from ias_gateway.live import Open
from ias_gateway.work import Work

_LARGER: Final = 10
"""Limits that are ample for a hundred requests are so for some that are this many times as large."""


class Early:
    """A request that was sent to an engine by its caller's lead.

    Attributes:
        pending: whether it is under way, and not known yet if it was let in.
        accounted: whether it was let in, or has a line of its own.
    """

    __slots__ = ("_attempt", "_last", "_lead", "_output", "_who", "accounted", "pending")

    def __init__(self, attempt: Attempt, lead: Lead, output: int, who: tuple[Caller, str]) -> None:
        self.pending = True
        self.accounted = False
        self._attempt = attempt
        self._lead, self._last = lead, lead.last
        self._output = output
        self._who = who

    def confirmed(self, door: Door, work: Work, answer: Admitted) -> Attempt | None:
        """The attempt, of which the client may hear now; None where it was let in late, or not as it was sent."""
        self.accounted = True
        if not self.pending:
            return None
        reply = self._attempt.reply
        if self._output != answer.output or not self._lead.fits(answer):
            self.withdraw(door, work)
            return None
        self.pending = False
        door.confirmed.count += 1
        work.open.meter = reply
        reply.admitted(work.head)
        return self._attempt

    def withdraw(self, door: Door, work: Work) -> None:
        """Take it back: its engine stops to generate. The next one is not sent before it is let in."""
        self.pending = False
        self._lead.until = 0.0
        self._attempt.replica.outstanding -= 1
        self._attempt.reply.cut(Outcome.CUT)
        work.exchange.watcher = None
        if work.exchange.span is not None:
            work.exchange.span.withdrawn()
        door.withdrawn.count += 1

    def refused(self, door: Door, work: Work) -> None:
        """It is not let in, or nobody says. What an engine has seen has its line, of no tokens where nobody got any."""
        if self.pending:
            self.withdraw(door, work)
        self.accounted = True
        caller, request_id = self._who
        attempt, reply = self._attempt, self._attempt.reply
        opened = Open(caller, request_id, work.ask, self._last)
        times = Times(work.exchange.started_at, reply.started_at, reply.first_at)
        facts = account(opened, self._lead.route, door.name, (attempt.replica.quoted, reply.status), times)
        door.ledger.settle(opened, (0, 0, 0), (Outcome.CUT, False), facts)


def go_early(door: Door, work: Work, caller: Caller, request_id: str, asked: Asked) -> Early | None:
    """Send a request on while Redis is asked, if that may be: where `asked` is with the kernel already."""
    ask, lead = work.ask, caller.leads.get(work.ask.model)
    if lead is None or lead.until <= asked.since or ask.images or work.exchange.gone:
        return None
    last = lead.last
    output = max(0, ask.output or last.usual)
    if ask.prompt + ask.n * output > _LARGER * last.held or not door.redis.handed_over(caller.tag):
        return None
    try:
        attempt = begin(door, work, (lead.route, last.org, output), request_id)
    except BadBody:
        return None  # it is refused when it is let in
    return None if attempt is None else Early(attempt, lead, output, (caller, request_id))

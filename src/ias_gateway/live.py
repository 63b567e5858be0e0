"""A request under way, as the accounting sees it: what it holds, and what puts that back where Redis lost it."""

from time import time
from typing import Protocol

from ias.contract import admission
from ias.contract.admission import Admitted, Ask, Command
from ias.contract.catalogue import decode_route
from ias.contract.usage import Facts, Outcome, encode_facts
from ias_gateway.admission import Caller


class Meter(Protocol):
    """The answer that an open request reads."""

    __slots__ = ()

    @property
    def tokens(self) -> tuple[int, int, int] | None:
        """Prompt, completion and cached tokens so far."""

    def cut(self, outcome: Outcome) -> None:
        """End it now."""

    def look(self, now: float) -> None:
        """End it where it has taken too long; `now` is a monotonic time."""


class Open:
    """An admitted request until it is settled."""

    __slots__ = ("admitted", "ask", "caller", "meter", "request_id")

    def __init__(self, caller: Caller, request_id: str, ask: Ask, admitted: Admitted) -> None:
        self.caller = caller
        self.request_id = request_id
        self.ask = ask
        self.admitted = admitted
        self.meter: Meter | None = None

    @property
    def tag(self) -> str:
        """The organisation's tag."""
        return self.caller.tag

    @property
    def tokens(self) -> tuple[int, int, int]:
        """Prompt, completion and cached tokens so far."""
        return (self.meter and self.meter.tokens) or (0, 0, 0)

    def reassertion(self, holder: tuple[str, int]) -> Command:
        """The call that puts its reservation back; `holder` is the gateway's name and the lease in seconds."""
        admitted, ask = self.admitted, self.ask
        held = (admitted.held, admitted.period, admitted.user, admitted.output, *self.tokens)
        key = (admitted.key, self.caller.fingerprint)
        what = (ask.model, decode_route(admitted.route).model_id, ask.endpoint, 1 if ask.streamed else 0)
        record = (*held, *key, *what, began_us(self.request_id))
        return admission.reassert(self.tag, self.request_id, record, holder)


def never_sent(ask: Ask, admitted: Admitted, gateway: str) -> bytes:
    """The facts of a request that was admitted, and sent to no engine."""
    facts = Facts(
        organisation=admitted.org,
        user=admitted.user,
        key=admitted.key,
        model=ask.model,
        model_id=decode_route(admitted.route).model_id,
        endpoint=ask.endpoint,
        started_at=time(),
        streamed=ask.streamed,
        gateway=gateway,
    )
    return encode_facts(facts)


def began_us(request_id: str) -> int:
    """When a request came, in Unix microseconds: its id is a UUID of version 7, which begins with the milliseconds."""
    return int(request_id[:8] + request_id[9:13], 16) * 1000

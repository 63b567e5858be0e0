"""What is known of a request while it is answered."""

from typing import Final

from ias.contract.admission import Ask
from ias_gateway.bodies.body import Body
from ias_gateway.bodies.endpoints import Endpoint
from ias_gateway.exchange import Exchange
from ias_gateway.live import Open
from ias_gateway.served import Served

_NOTHING: Final = (False, False)


class Work:
    """What is known of a request under way.

    Attributes:
        head: lines of the answer's head.
        wanted: whether the client of a stream wants usage at its end, and running usage.
        beginning: how the prompt begins, where replicas are chosen by that.
        payload: the body for the engine, until an answer has begun.
    """

    __deletable__ = ("body",)  # mypyc's leave for `del`
    __slots__ = ("ask", "beginning", "body", "endpoint", "exchange", "head", "open", "payload", "route", "wanted")

    def __init__(self, exchange: Exchange, endpoint: Endpoint, head: bytes) -> None:
        self.exchange = exchange
        self.endpoint = endpoint
        self.head = head
        self.body: Body
        self.ask: Ask
        self.open: Open
        self.payload = self.beginning = b""
        self.wanted = _NOTHING
        self.route: Served

    def let_go(self) -> None:
        """The answer has begun: there is no second attempt, and an open stream keeps no prompt."""
        self.payload = b""

"""Which requests are traced, and the way of their spans to a collector: OTLP over HTTP, as JSON, once a second.

Spans that a collector does not take are dropped and counted: nothing waits for them.
"""

import asyncio
from ipaddress import ip_network
from random import random
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

from ias.contract import conventions
from ias.contract.traces import read_traceparent
from ias.contract.usage import Outcome
from ias_gateway.addresses import Addresses
from ias_gateway.knock import NoAnswer, knock
from ias_gateway.live import Open
from ias_gateway.log import Log
from ias_gateway.spans import Attributes, Span, Written, export
from ias_gateway.telemetry import Metrics

EVERY_S: Final = 1.0
AT_ONCE: Final = 512
MOST_WAITING: Final = 8192
SENT_WITHIN_S: Final = 5.0
LAST_WORDS_S: Final = 2.0
SAY_AGAIN_S: Final = 60.0
MOST_CHOSEN: Final = 100
"""Traces a second that clients may choose: beyond them nobody else's would be sent any more."""
_NO_KEY: Final = 401
_TAKEN: Final = range(200, 300)
# The operator says where the collector is, and no tenant can.
_ANYWHERE: Final = Addresses((ip_network("0.0.0.0/0"), ip_network("::/0")))


class Tracer:
    """Begins spans and sends those that have ended.

    Args:
        endpoint: the collector's address, as `http://collector:4318`.
        ratio: of requests that come without a `traceparent`, how many are traced: 0 to 1. Who sends one decides,
            up to `MOST_CHOSEN` times a second.
        process: what the spans are said to be of.
    """

    def __init__(self, endpoint: str, ratio: float, process: Attributes, told: tuple[Metrics, Log]) -> None:
        at = urlsplit(endpoint)
        self._endpoint = endpoint
        self._head = b"POST %b/v1/traces HTTP/1.1\r\nhost: %b\r\ncontent-type: application/json\r\n" % (
            at.path.rstrip("/").encode(),
            at.netloc.rpartition("@")[2].encode(),
        )
        self._ratio = ratio
        self._process = process
        self._counted = told[0].spans.values
        self._log = told[1]
        self._waiting: list[Written] = []
        self._said = -SAY_AGAIN_S
        self._second, self._chosen = 0, 0

    def begin(self, header: bytes) -> Span | None:
        """A span where the request is traced. `header` is its `traceparent`, empty where it has none."""
        parent = read_traceparent(header) if header else None
        if parent is not None and not (parent.sampled and self._takes()):
            return None
        traced = parent is not None or random() < self._ratio  # noqa: S311 - no secret
        return Span(parent) if traced else None

    def _takes(self) -> bool:
        """Whether one more is taken this second of those that clients chose."""
        second = int(monotonic())
        if second != self._second:
            self._second, self._chosen = second, 0
        self._chosen += 1
        return self._chosen <= MOST_CHOSEN

    def end(self, span: Span, about: tuple[str, str], request_id: str, status: int) -> None:
        """A request is over. `about` is the method and the route. Of who has no key nothing is told."""
        if status == _NO_KEY:
            return
        if len(self._waiting) < MOST_WAITING:
            self._waiting += span.ended(about, request_id, status)
        else:
            self._counted["dropped",] += 1

    async def go_on(self) -> None:
        """Send what waits, for ever."""
        while True:
            await asyncio.sleep(EVERY_S)
            await self.flush()

    async def close(self) -> None:
        """Send what waits, if that is done soon."""
        try:
            async with asyncio.timeout(LAST_WORDS_S):
                await self.flush()
        except TimeoutError:
            self._log.line("warning", "spans were left behind", spans=len(self._waiting))

    async def flush(self) -> None:
        """Send what waits; what the collector does not take is dropped."""
        while self._waiting:
            some, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
            why = await self._send(export(self._process, some))
            self._counted["dropped" if why else "sent",] += len(some)
            if why and monotonic() - self._said >= SAY_AGAIN_S:
                self._said = monotonic()
                self._log.line("warning", "the collector does not take spans", endpoint=self._endpoint, why=why)

    async def _send(self, body: bytes) -> str:
        """Why it was not taken, empty where it was."""
        message = self._head + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body
        try:
            async with asyncio.timeout(SENT_WITHIN_S):
                heard = await knock(self._endpoint, _ANYWHERE, message)
        except (NoAnswer, OSError, TimeoutError) as error:
            return str(error) or type(error).__name__
        return "" if heard.status in _TAKEN else f"it answers {heard.status}"


def known(opened: Open, replica: str, outcome: Outcome, tokens: tuple[int, int, int]) -> Attributes:
    """What the span of an admitted request says, now that it is settled. Never a prompt, an answer or a key."""
    return {
        conventions.REQUEST_MODEL: opened.ask.model,
        conventions.INPUT_TOKENS: tokens[0],
        conventions.OUTPUT_TOKENS: tokens[1],
        conventions.SERVER: replica,
        conventions.OUTCOME: outcome.value,
        conventions.ORGANISATION: opened.admitted.org,
    }

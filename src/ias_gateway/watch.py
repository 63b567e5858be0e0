"""Looks at the replicas every few seconds: whether each is healthy, and how much it has to do for others.

Only replicas that have others beside them are looked at: where there is no choice, nothing follows from it. The load
is read from `/metrics`, since vLLM's `/load` says 0 unless the engine was started with `--enable-server-load-tracking`.
"""

import asyncio
import re
from random import uniform

from ias_gateway.inquiry import Unanswered, answer_to
from ias_gateway.log import Log
from ias_gateway.routing import Replica, Routing
from ias_gateway.telemetry import Metrics
from ias_gateway.upstream import question

ANSWER_WITHIN_S = 2.0
_OK = 200
_JITTER = 0.75, 1.25
"""Gateways that started together do not look together."""
_UNDER_WAY = re.compile(rb"^vllm:num_requests_(?:running|waiting)(?:\{[^\r\n]*\})? ([0-9.eE+]+)", re.MULTILINE)
"""vLLM has a line of each for every engine core behind the port."""


async def watch(routing: Routing, interval_s: float, metrics: Metrics, log: Log) -> None:
    """Look for ever, once every interval."""
    while True:
        await asyncio.sleep(interval_s * uniform(*_JITTER))  # noqa: S311 - no secret
        try:
            routing.forget_unused(metrics)
            await asyncio.gather(*(look(replica, log) for replica in routing.shared()))
            routing.tell(metrics)
        except Exception as error:  # noqa: BLE001 - a look that fails must not be the last one
            log.line("error", "the replicas could not be looked at", error=repr(error))


async def look(replica: Replica, log: Log) -> None:
    """Ask a replica how it is."""
    why = ""
    under_way = 0
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            under_way = await _ask(replica)
    except (OSError, TimeoutError, Unanswered) as error:
        why = str(error) or "it does not answer"
    up = not why
    if up != replica.up:
        log.line("warning", "a replica is back" if up else "a replica is down", replica=replica.url, why=why)
    replica.looked_at(up=up, under_way=under_way)


def requests_under_way(exposition: bytes) -> int:
    """Requests that an engine computes or that wait in it, by its own metrics; 0 where they do not say."""
    try:
        return sum(int(float(number)) for number in _UNDER_WAY.findall(exposition))
    except (ValueError, OverflowError):
        return 0


async def _ask(replica: Replica) -> int:
    """Requests under way on a healthy replica."""
    status, _ = await answer_to(replica.pool, question(replica.url, b"/health"))
    if status != _OK:
        raise Unanswered(f"/health answers {status}")
    status, exposition = await answer_to(replica.pool, question(replica.url, b"/metrics"))
    return requests_under_way(exposition) if status == _OK else 0

"""`GET /v1/usage/limits`: every limit that applies to the caller, and what is used of it."""

from time import gmtime, strftime
from typing import cast

import msgspec
from uuid_utils import uuid7

from ias.contract import admission as contract
from ias_gateway import admission, errors
from ias_gateway.asked import RedisDown
from ias_gateway.door import Door
from ias_gateway.errors import ApiError
from ias_gateway.exchange import Exchange
from ias_gateway.redis import pack

PATH = b"/v1/usage/limits"
_UNITS = {
    "budget": "tokens per month",
    "requests": "requests",
    "tokens": "tokens",
    "concurrency": "requests at once",
}


_PERIODS = {"budget": "month", "requests": "second", "tokens": "minute"}


class Limit(msgspec.Struct):
    """One limit, as the `x-ratelimit-…` headers tell it too.

    Attributes:
        limit: how much there is when it is whole: of requests, the burst. Null where there is no limit.
        held: what requests under way hold.
        rate: how much of it comes back each `per`, a second or minute; null for what does not come back bit by bit.
        resets_at: when it is whole again, if nothing more is used; never earlier than is true.
    """

    scope: str
    kind: str
    unit: str
    limit: int | None
    used: int
    held: int
    remaining: int | None
    rate: int | None
    per: str | None
    resets_at: str


class LimitList(msgspec.Struct):
    """All of them."""

    data: list[Limit]
    object: str = "list"


async def limits(door: Door, exchange: Exchange) -> None:
    """Answer a request for the caller's limits."""
    request_id = str(uuid7())
    head = b"x-request-id: %b\r\n" % request_id.encode()
    try:
        exchange.answer(200, msgspec.json.encode(LimitList(await _limits(door, exchange))), head)
    except ApiError as error:
        exchange.refuse(error, head)
    except RedisDown:
        exchange.refuse(errors.not_ready(), head)
    door.note(exchange, request_id, PATH.decode())


async def _limits(door: Door, exchange: Exchange) -> list[Limit]:
    caller = admission.identify(exchange.authorization)
    reply = await door.redis.ask(caller.tag, pack(contract.limits(caller.tag, caller.fingerprint)))
    answer = contract.read_limits(cast("contract.Reply", reply))
    if isinstance(answer, tuple):
        period, now_ms, standings = answer
        return [_limit(standing, period, now_ms) for standing in standings]
    if isinstance(answer, contract.NotReady) and answer.unknown_org:
        answer = await door.ledger.unknown_organisation(caller.tag)
    raise admission.refusal(answer, "")


def _limit(standing: contract.Standing, period: str, now_ms: int) -> Limit:
    limit = standing.limit if standing.limit >= 0 else None
    at_once = -(-(now_ms + standing.reset_ms) // 1000)
    whole_again = admission.month_end(period) if standing.kind == "budget" else at_once
    return Limit(
        scope=standing.scope,
        kind=standing.kind,
        unit=_UNITS[standing.kind],
        limit=limit,
        used=standing.used,
        held=standing.held,
        remaining=None if limit is None else max(0, limit - standing.used - standing.held),
        rate=standing.rate if standing.rate >= 0 else None,
        per=_PERIODS.get(standing.kind),
        resets_at=strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(whole_again)),
    )

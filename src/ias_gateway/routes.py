"""The allow-list of what is served: everything else is answered with 404, or 405."""

from collections.abc import Coroutine

from uuid_utils import uuid7

from ias_gateway.bodies.endpoints import BY_PATH
from ias_gateway.completions import complete
from ias_gateway.door import Door
from ias_gateway.errors import ApiError
from ias_gateway.exchange import Exchange
from ias_gateway.limits import PATH as LIMITS
from ias_gateway.limits import limits
from ias_gateway.models import PATH as MODELS
from ias_gateway.models import models


def route(door: Door, exchange: Exchange) -> Coroutine[None, None, None]:
    """Who answers a request."""
    path = exchange.path
    endpoint = BY_PATH.get(path)
    if endpoint is not None and exchange.method == b"POST":
        return complete(door, exchange, endpoint)
    if (path == MODELS or path.startswith(MODELS + b"/")) and exchange.method == b"GET":
        return models(door, exchange)
    if path == LIMITS and exchange.method == b"GET":
        return limits(door, exchange)
    return _unrouted(door, exchange)


async def _unrouted(door: Door, exchange: Exchange) -> None:
    request_id = str(uuid7())
    head = b"x-request-id: %b\r\n" % request_id.encode()
    if exchange.path in BY_PATH or exchange.path in {MODELS, LIMITS}:
        allowed = "POST" if exchange.path in BY_PATH else "GET"
        exchange.refuse(ApiError(405, f"Use {allowed} for this path.", headers=(("allow", allowed),)), head)
    else:
        said = "There is no such path. The API is under /v1, for example POST /v1/chat/completions."
        exchange.refuse(ApiError(404, said), head)
    door.note(exchange, request_id, "unrouted")

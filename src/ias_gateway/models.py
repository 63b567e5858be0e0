"""`GET /v1/models` and `/v1/models/{id}`: only what this key may call."""

from urllib.parse import unquote_to_bytes

import msgspec
from uuid_utils import uuid7

from ias.contract.catalogue import ModelRoute, decode_route
from ias_gateway import admission, errors
from ias_gateway.asked import RedisDown
from ias_gateway.door import Door
from ias_gateway.errors import ApiError
from ias_gateway.exchange import Exchange

PATH = b"/v1/models"


class Model(msgspec.Struct):
    """OpenAI's model object."""

    id: str
    max_model_len: int
    created: int
    object: str = "model"
    owned_by: str = "ias"


class ModelList(msgspec.Struct):
    """OpenAI's list."""

    data: list[Model]
    object: str = "list"


async def models(door: Door, exchange: Exchange) -> None:
    """Answer a request for the list or for one model."""
    request_id = str(uuid7())
    head = b"x-request-id: %b\r\n" % request_id.encode()
    try:
        routes = await _routes(door, exchange)
        wanted = unquote_to_bytes(exchange.path[len(PATH) + 1 :]).decode(errors="replace")
        exchange.answer(200, msgspec.json.encode(_one(routes, wanted) if wanted else _all(routes)), head)
    except ApiError as error:
        exchange.refuse(error, head)
    except RedisDown:
        exchange.refuse(errors.not_ready(), head)
    door.note(exchange, request_id, PATH.decode())


async def _routes(door: Door, exchange: Exchange) -> dict[str, ModelRoute]:
    caller = admission.identify(exchange.authorization)
    encoded = await door.vouching.routes(caller)
    return {route.name: route for route in sorted(map(decode_route, encoded), key=lambda route: route.name)}


def _all(routes: dict[str, ModelRoute]) -> ModelList:
    return ModelList([_model(route) for route in routes.values()])


def _one(routes: dict[str, ModelRoute], name: str) -> Model:
    if name not in routes:
        raise admission.unknown_model(name, tuple(routes))
    return _model(routes[name])


def _model(route: ModelRoute) -> Model:
    return Model(id=route.name, max_model_len=route.context_length, created=route.created)

"""The control port: how the engine behaves, what it wrote, and a fresh start. Not part of vLLM."""

import msgspec

from ias.dev.engine.directives import Behaviour
from ias.dev.engine.server import Connection
from ias.dev.engine.state import Engine


def control(engine: Engine, connection: Connection) -> None:
    """`GET` and `PUT /settings`, `GET /log`, `POST /reset`."""
    match connection.method, connection.path:
        case b"GET", "/settings":
            connection.answer(200, msgspec.json.encode(engine.usual))
        case b"PUT", "/settings":
            _change(engine, connection)
        case b"GET", "/log":
            connection.answer(200, msgspec.json.encode(list(engine.oracle.entries)))
        case b"POST", "/reset":
            engine.usual = Behaviour()
            engine.cache.clear()
            engine.oracle.entries.clear()
            connection.answer(200, b"{}")
        case _:
            connection.answer(404, b'{"detail":"GET or PUT /settings, GET /log, POST /reset"}')


def _change(engine: Engine, connection: Connection) -> None:
    try:
        changes = msgspec.json.decode(connection.body, type=dict[str, object])
        engine.usual = msgspec.convert(msgspec.structs.asdict(engine.usual) | changes, Behaviour)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        connection.refuse(400, str(error), "BadRequestError")
    else:
        connection.answer(200, msgspec.json.encode(engine.usual))

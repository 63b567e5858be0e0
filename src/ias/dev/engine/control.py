"""The control port: how the engine behaves, what it wrote, and a fresh start. Not part of vLLM.

| request | does |
| --- | --- |
| `GET /settings` | the settings in force |
| `PUT /settings` | changes those that its JSON names; answers all of them |
| `GET /log?since=N` | requests that are over, from number N on; all that are kept without it |
| `GET /running` | requests under way |
| `POST /reset` | settings as started, empty cache, counters and log |
"""

import asyncio

import msgspec

from ias.dev.engine.directives import Settings
from ias.dev.engine.engine import Engine
from ias.dev.engine.listener import Listener
from ias.dev.engine.refusals import Refused
from ias.dev.engine.server import Connection

_ROUTES = b'{"detail":"GET or PUT /settings, GET /log?since=, GET /running, POST /reset"}'


class Control:
    """Answers the control port's requests for one engine and its port."""

    def __init__(self, engine: Engine, port: Listener) -> None:
        self._engine = engine
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, connection: Connection) -> None:
        """Answer one request."""
        match connection.request.method, connection.request.path:
            case "GET", "/settings":
                connection.answer(200, msgspec.json.encode(self._engine.settings))
            case "PUT", "/settings":
                self._change(connection)
            case "GET", "/log":
                connection.answer(200, msgspec.json.encode(self._engine.oracle.over(_since(connection))))
            case "GET", "/running":
                connection.answer(200, msgspec.json.encode(self._engine.oracle.live()))
            case "POST", "/reset":
                self._engine.reset()
                self._apply(connection)
            case _:
                connection.answer(404, _ROUTES)

    def _change(self, connection: Connection) -> None:
        try:
            changes = msgspec.json.decode(connection.request.body, type=dict[str, object])
            known = msgspec.structs.asdict(self._engine.settings)
            self._engine.behave(msgspec.convert(known | changes, Settings))
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            connection.answer(400, Refused(400, f"/settings: {error}").body)
        else:
            self._apply(connection)

    def _apply(self, connection: Connection) -> None:
        task = asyncio.get_running_loop().create_task(self._listen(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen(self, connection: Connection) -> None:
        if self._engine.settings.refuse_connections:
            self._port.refuse()
        else:
            await self._port.open()
        connection.answer(200, msgspec.json.encode(self._engine.settings))


def _since(connection: Connection) -> int:
    name, _, value = connection.request.query.partition("=")
    return int(value) if name == "since" and value.isdecimal() else 0

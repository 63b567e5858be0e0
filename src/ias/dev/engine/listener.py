"""A listening port that can be closed and opened again while the engine runs."""

import asyncio

from ias.dev.engine.server import Connection, Handler


class Listener:
    """One port, and the connections that came in by it."""

    def __init__(self, handler: Handler, host: str, port: int) -> None:
        self._handler = handler
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._connections: set[Connection] = set()

    async def open(self) -> None:
        """Take connections."""
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(self._connection, self._host, self._port, backlog=4096)

    def refuse(self) -> None:
        """Take no more, and close those on which nothing is being answered; the others go on."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            if connection.idle:
                connection.close()

    def stop(self) -> None:
        """Close everything; what is being answered is abandoned."""
        self.refuse()
        for connection in list(self._connections):
            if connection.job is not None:
                connection.job.abandon()
                connection.job = None
            connection.close()

    def _connection(self) -> Connection:
        return Connection(self._handler, self._connections)

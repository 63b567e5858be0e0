"""The master that sentinels name: the connection follows it, and never writes to a replica."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import cast

import hiredis

from ias.contract.redis_url import Address, RedisUrl
from ias_gateway.asked import Listener, RedisDown, Reply, Then
from ias_gateway.ending import end
from ias_gateway.greeting import Server, login
from ias_gateway.question import Line, ask_at, open_line
from ias_gateway.redis import Redis

_AGAIN_S = 0.2
_SWITCHED = "+switch-master"
_WHERE_PARTS = 2


class Master(Redis):
    """A connection to whichever server is the master now.

    The sentinels are asked for it before each connection, and one of them tells when it changes. A server that is no
    master, or says READONLY, is left at once.
    """

    def __init__(self, url: RedisUrl, timeout_s: float, on_open: Callable[[bool], None]) -> None:
        super().__init__(url, timeout_s, on_open)
        self._sentinels = list(url.nodes)
        self._login = login(url.sentinel_user, url.sentinel_password)
        self._listener: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to connect, and to listen for another master."""
        super().start()
        self._listener = self._loop.create_task(self._listen())

    async def close(self) -> None:
        """Close for good; what still waits fails."""
        await end(self._listener)
        await super().close()

    def write(self, tag: str, listener: Listener, packed: bytes, *, last: bool = False, soon: bool = False) -> None:
        """Send a command; a server that answers READONLY is left."""
        super().write(tag, Then(partial(self._answered, listener)), packed, last=last, soon=soon)

    def _answered(self, listener: Listener, reply: Reply) -> None:
        if isinstance(reply, hiredis.ReplyError) and str(reply).startswith("READONLY"):
            self.drop()
        listener.answered(reply)

    async def _find(self) -> Address:
        for sentinel in tuple(self._sentinels):
            try:
                told = await ask_at(sentinel, self._login, self._question, tls=self._url.tls)
            except RedisDown:
                # The next time another one is asked first.
                self._sentinels.append(self._sentinels.pop(0))
            else:
                if (address := _address(told)) is not None:
                    return address
        raise RedisDown(f"no sentinel knows where the master {self._url.master} is")

    async def _meet(self) -> Server | None:
        server = await super()._meet()
        if server is None or not server.master:
            raise RedisDown("the server is not the master, or does not say so")
        return server

    @property
    def _question(self) -> tuple[str, ...]:
        return ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._url.master)

    async def _listen(self) -> None:
        """Hear of another master for as long as the process runs, from whichever sentinel talks."""
        turn = 0
        while True:
            sentinel = self._url.nodes[turn % len(self._url.nodes)]
            try:
                line = await open_line(sentinel, self._login, tls=self._url.tls)
                try:
                    await self._hear(line)
                finally:
                    await line.close()
            except (OSError, RedisDown):
                turn += 1
            await asyncio.sleep(_AGAIN_S)

    async def _hear(self, line: Line) -> None:
        # What happened before it listens is asked for.
        self._is_at(_address(await line.ask(self._question)))
        await line.ask(("SUBSCRIBE", _SWITCHED))
        while True:
            *_, told = cast("list[bytes]", await line.next())
            name, _, _, host, port = told.decode().split(" ")
            if name == self._url.master:
                self._is_at((host, int(port)))

    def _is_at(self, address: Address | None) -> None:
        if address is not None and self.connected and address != self.address:
            self.drop()


def _address(told: Reply) -> Address | None:
    """Host and port as a sentinel tells them; None where it knows no such master."""
    if not isinstance(told, list) or len(told) != _WHERE_PARTS:
        return None
    host, port = cast("list[bytes]", told)
    return host.decode(), int(port)

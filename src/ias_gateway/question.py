"""One question to a server that this process is not connected to: of a cluster's map, or of a sentinel."""

import asyncio
import contextlib
import ssl

import hiredis

from ias.contract.redis_url import Address
from ias_gateway.asked import RedisDown, RedisRefused, Reply
from ias_gateway.greeting import Greeting
from ias_gateway.redis import pack

ANSWER_WITHIN_S = 1.0
_READ_BYTES = 65_536


class Line:
    """A connection for questions, one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._replies = hiredis.Reader()

    async def ask(self, question: Greeting) -> Reply:
        """The answer.

        Raises:
            RedisRefused: it is an error.
            RedisDown: the connection is gone.
        """
        self._writer.write(pack(question))
        return await self.next()

    async def next(self) -> Reply:
        """What comes next, asked for or not. Raises as `ask`."""
        while (reply := self._replies.gets()) is False:
            data = await self._reader.read(_READ_BYTES)
            if not data:
                raise RedisDown("the server closed the connection")
            self._replies.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            raise RedisRefused(str(reply))
        return reply

    async def close(self) -> None:
        """Hang up."""
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def ask_at(address: Address, greetings: list[Greeting], question: Greeting, *, tls: bool) -> Reply:
    """The answer of a server to one question.

    Raises:
        RedisDown: it does not answer in a second, or refuses.
    """
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            line = await open_line(address, greetings, tls=tls)
            try:
                return await line.ask(question)
            finally:
                await line.close()
    except (OSError, TimeoutError) as error:
        raise RedisDown(f"{address[0]}:{address[1]} does not answer: {error}") from error


async def open_line(address: Address, greetings: list[Greeting], *, tls: bool) -> Line:
    """A connection on which the greetings were said.

    Raises:
        OSError: nobody listens there.
        RedisDown: the server hung up, or refuses.
    """
    line = Line(*await asyncio.open_connection(*address, ssl=ssl.create_default_context() if tls else None))
    try:
        for greeting in greetings:
            await line.ask(greeting)
    except BaseException:
        await line.close()
        raise
    return line

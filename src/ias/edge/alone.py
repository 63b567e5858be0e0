"""One Redis server at a time: always the same, or whichever the sentinels call the master."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar, cast

import redis.asyncio as aioredis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ias.contract.admission import PROJECTION_KEY, Command
from ias.contract.redis_url import Address, RedisUrl
from ias.contract.shards import SLOTS, Shard
from ias.edge.server import Server

Answer = TypeVar("Answer")
_SENTINEL_WITHIN_S = 1.0


class Alone:
    """The server of the URL."""

    def __init__(self, url: RedisUrl) -> None:
        self.only = Server(url.nodes[0], url)

    async def call(self, command: Command) -> object:
        """The server's answer."""
        return await self.only.call(command)

    async def calls(self, commands: Sequence[Command]) -> list[object]:
        """The server's answers in one round trip, a refusal in the place of its answer."""
        return await self.only.calls(commands)

    async def shards(self) -> list[Shard]:
        """The server, with all slots."""
        return [Shard(self.only.address, ((0, SLOTS - 1),))]

    async def at(self, shard: Shard, command: Command) -> object:  # noqa: ARG002 - there is one
        """The server's answer."""
        return await self.call(command)

    async def lost(self) -> list[Shard]:
        """The server, where it is not marked as projected."""
        return [] if await self.call(("GET", PROJECTION_KEY)) == b"1" else await self.shards()

    async def mark(self, shard: Shard) -> None:  # noqa: ARG002 - there is one
        """Mark it as projected."""
        await self.call(("SET", PROJECTION_KEY, 1))

    async def reachable(self, tags: Sequence[str]) -> list[str]:
        """All of them: where the server is away, there is nothing to be done for others meanwhile."""
        return [*tags]

    async def groups(self, tags: Sequence[str], most: int) -> list[Sequence[str]]:
        """One after the other."""
        return [tags[start : start + most] for start in range(0, len(tags), most)]

    async def close(self) -> None:
        """Close all connections."""
        await self.only.close()


class Followed(Alone):
    """The master that sentinels name. When it is lost, or a replica by now, they are asked again."""

    def __init__(self, url: RedisUrl) -> None:
        super().__init__(url)
        self._url = url
        self._found = False

    async def call(self, command: Command) -> object:
        """The master's answer."""
        return await self._following(lambda server: server.call(command))

    async def calls(self, commands: Sequence[Command]) -> list[object]:
        """The master's answers in one round trip, a refusal in the place of its answer."""
        return await self._following(lambda server: _answers(server, commands))

    async def _following(self, ask: Callable[[Server], Awaitable[Answer]]) -> Answer:
        if not self._found:
            await self._find()
        try:
            return await ask(self.only)
        except (RedisConnectionError, RedisTimeoutError, ReadOnlyError, OSError):
            before = self.only.address
            await self._find()
            if self.only.address == before:
                raise
            return await ask(self.only)

    async def _find(self) -> None:
        """Go to whichever server is the master.

        Raises:
            RedisConnectionError: no sentinel knows, or it is none.
        """
        address = await _master(self._url)
        if address != self.only.address:
            await self.only.close()
            self.only = Server(address, self._url)
        role, *_ = cast("list[bytes]", await self.only.call(("ROLE",)))
        self._found = role == b"master"
        if not self._found:
            raise RedisConnectionError(f"{address[0]}:{address[1]}, which sentinels call the master, is a replica")


async def _answers(server: Server, commands: Sequence[Command]) -> list[object]:
    answers = await server.calls(commands)
    for answer in answers:
        if isinstance(answer, ReadOnlyError):
            raise answer
    return answers


async def _master(url: RedisUrl) -> Address:
    for host, port in url.nodes:
        sentinel = aioredis.Redis(
            host=host,
            port=port,
            username=url.sentinel_user or None,
            password=url.sentinel_password or None,
            ssl=url.tls,
            socket_timeout=_SENTINEL_WITHIN_S,
            socket_connect_timeout=_SENTINEL_WITHIN_S,
        )
        try:
            told = await sentinel.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", url.master)  # type: ignore[no-untyped-call]
        except (RedisError, OSError):
            continue
        finally:
            await sentinel.aclose()
        if told:
            master, at = cast("tuple[bytes | str, bytes | int]", told)
            return master if isinstance(master, str) else master.decode(), int(at)
    raise RedisConnectionError(f"no sentinel knows where the master {url.master} is")

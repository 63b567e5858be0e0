"""One Redis server, and what several of them have in common for whoever sends a command."""

from collections.abc import Sequence
from typing import Protocol, cast

import redis.asyncio as aioredis
from redis.asyncio.connection import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from ias.contract.admission import Command
from ias.contract.redis_url import Address, RedisUrl
from ias.contract.shards import Shard

POOL_SIZE = 32
WAIT_FOR_CONNECTION_S = 0.1
PATIENCE_S = 10.0


class Server:
    """One server and a pool of connections to it. Answers are bytes."""

    def __init__(self, address: Address, url: RedisUrl, patience_s: float = PATIENCE_S) -> None:
        self.address = address
        pool = aioredis.BlockingConnectionPool(
            connection_class=SSLConnection if url.tls else Connection,
            host=address[0],
            port=address[1],
            db=url.database,
            username=url.user or None,
            password=url.password or None,
            max_connections=POOL_SIZE,
            timeout=WAIT_FOR_CONNECTION_S,
            socket_timeout=patience_s,
            socket_connect_timeout=1,
            # Calls may be repeated: projections go by version, settlements by request. A pooled connection that Redis
            # closed when it restarted is replaced without anybody's noticing; for one that was reset uvloop has a
            # RuntimeError.
            retry=Retry(NoBackoff(), 1),
            retry_on_error=[RedisConnectionError, RuntimeError],
        )
        self.client = aioredis.Redis(connection_pool=pool)

    async def call(self, command: Command) -> object:
        """The answer to a command.

        Raises:
            RedisError: it does not answer, or refuses.
        """
        answer: object = await self.client.execute_command(*command)  # type: ignore[no-untyped-call]
        return answer

    async def calls(self, commands: Sequence[Command]) -> list[object]:
        """The answers to many commands in one round trip, a refusal in the place of its answer.

        Raises:
            RedisError: it does not answer.
        """
        pipeline = self.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        return cast("list[object]", await pipeline.execute(raise_on_error=False))

    async def close(self) -> None:
        """Close all connections."""
        await self.client.aclose()
        await self.client.connection_pool.disconnect()


class Servers(Protocol):
    """Where commands go. Whatever does not answer or refuses raises RedisError or OSError."""

    @property
    def only(self) -> Server | None:
        """The server, where there is just one at a time."""

    async def call(self, command: Command) -> object:
        """The answer of the server that has what the command names."""

    async def calls(self, commands: Sequence[Command]) -> list[object]:
        """The answers to many commands in their order, an error in the place of its answer."""

    async def shards(self) -> list[Shard]:
        """The masters as they are now, with their slots."""

    async def at(self, shard: Shard, command: Command) -> object:
        """The answer of this shard."""

    async def lost(self) -> list[Shard]:
        """The slots, by shard, that are not marked as projected. Shards that do not answer are not among them."""

    async def mark(self, shard: Shard) -> None:
        """Mark these slots as projected."""

    async def reachable(self, tags: Sequence[str]) -> list[str]:
        """Those organisations whose server is not known to be away."""

    async def groups(self, tags: Sequence[str], most: int) -> list[Sequence[str]]:
        """The organisations in groups of `most` that one command may name together."""

    async def close(self) -> None:
        """Close all connections."""

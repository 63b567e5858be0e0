"""Redis as the monolith uses it: the projection that the gateways decide by, and the Function library that holds it."""

from collections.abc import Mapping, Sequence
from typing import cast

import msgspec
import redis.asyncio as aioredis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

from ias.contract import admission
from ias.contract.admission import Argument, Command, Reply

POOL_SIZE = 32
WAIT_FOR_CONNECTION_S = 0.1


class EdgeDown(Exception):
    """Redis does not answer, so nothing that gateways decide by can be changed now."""


class KeyRecord(msgspec.Struct, frozen=True):
    """What gateways know of a key. Ids are text; `expires_at` is in Unix seconds."""

    fingerprint: str
    key_id: str
    user_id: str
    expires_at: int | None = None


class Edge:
    """One pool of connections to Redis. Answers are bytes."""

    def __init__(self, url: str) -> None:
        pool = aioredis.BlockingConnectionPool.from_url(
            url,
            max_connections=POOL_SIZE,
            timeout=WAIT_FOR_CONNECTION_S,
            socket_timeout=10,
            socket_connect_timeout=1,
            # Calls may be repeated: projections go by version, settlements by request. A pooled connection that Redis
            # closed when it restarted is replaced without anybody's noticing.
            retry=Retry(NoBackoff(), 1),
            retry_on_error=[RedisConnectionError],
        )
        self.redis = aioredis.Redis(connection_pool=pool)

    async def close(self) -> None:
        """Close all connections."""
        await self.redis.aclose()
        await self.redis.connection_pool.disconnect()

    async def call(self, command: Command) -> object:
        """Run one command.

        Raises:
            EdgeDown: Redis does not answer, or cannot write.
        """
        try:
            answer: object = await self.redis.execute_command(*command)  # type: ignore[no-untyped-call]
        except ResponseError as error:
            raise EdgeDown(f"Redis refused: {error}") from error
        except (RedisError, OSError) as error:
            raise EdgeDown(f"Redis does not answer: {error}") from error
        return answer

    async def calls(self, commands: Sequence[Command]) -> list[object]:
        """Run many commands in one round trip, not in one transaction.

        Raises:
            EdgeDown: Redis does not answer, or refused one of them.
        """
        pipeline = self.redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            return cast("list[object]", await pipeline.execute())
        except (RedisError, OSError) as error:
            raise EdgeDown(f"Redis does not answer: {error}") from error

    async def load_library(self) -> None:
        """Put this release's Function library in; the same one again changes nothing."""
        await self.call(("FUNCTION", "LOAD", "REPLACE", admission.LIBRARY))

    async def library_is_current(self) -> bool:
        """Whether Redis runs this release's Function library."""
        try:
            answer = await self.call(admission.LIBRARY_VERSION_CALL)
        except EdgeDown as error:
            if "not found" in str(error).lower():
                return False
            raise
        return answer == admission.LIBRARY_VERSION.encode()

    async def grant(self, tag: str, key: KeyRecord, version: int) -> None:
        """Let a key in, unless something newer is known of it."""
        owner = (key.key_id, key.user_id)
        await self.call(admission.grant(tag, key.fingerprint, version, owner, key.expires_at))

    async def revoke(self, tag: str, key: KeyRecord, version: int) -> None:
        """Turn a key away; returns once Redis has confirmed."""
        await self.call(admission.revoke(tag, key.fingerprint, version, (key.key_id, key.user_id)))

    async def project(self, tag: str, section: str, version: int, fields: Mapping[str, Argument]) -> None:
        """Replace a section of an organisation's projection, unless a newer one is there."""
        await self.call(admission.project(tag, section, version, fields))

    async def complete(self, tag: str) -> None:
        """Say that an organisation's projection is whole."""
        await self.call(admission.complete(tag))

    async def whole(self) -> bool:
        """Whether every organisation has been projected since Redis was last empty."""
        return await self.call(("GET", admission.PROJECTION_KEY)) == b"1"

    async def mark_whole(self) -> None:
        """Say that every organisation has been projected."""
        await self.call(("SET", admission.PROJECTION_KEY, 1))

    async def standing(self, tag: str, user: str) -> Reply:
        """Used and held tokens of this month (see the Function library's `standing`)."""
        return cast("Reply", await self.call(admission.standing(tag, user)))

"""Which server of a Redis Cluster has which slots, as last told, and the servers themselves."""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import cast

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from ias.contract.redis_url import Address, RedisUrl
from ias.contract.shards import SLOTS, Shard, read_map, read_nodes
from ias.edge.server import Server

PATIENCE_S = 3.0
"""How long a server may take to answer; others wait for those who asked it."""
_TOLD_WITHIN_S = 1.0
_FRESH_S = 0.2
"""Who asks for a map that is younger gets it as it is."""


class Map:
    """The map, and a server for each address that was ever needed."""

    def __init__(self, url: RedisUrl) -> None:
        self.shards: list[Shard] = []
        self._url = url
        self._nodes: list[Address] = [*url.nodes]
        self._homes: list[Address | None] = [None] * SLOTS
        self._servers: dict[Address, Server] = {}
        self._told_at = 0.0
        self._asking = asyncio.Lock()

    async def have(self) -> None:
        """Have a map, however old.

        Raises:
            RedisConnectionError: no node tells one.
        """
        if not self.shards:
            await self.refresh()

    async def refresh(self) -> None:
        """Ask for the map, unless somebody just did.

        Raises:
            RedisConnectionError: no node tells one.
        """
        async with self._asking:
            if self.shards and monotonic() - self._told_at < _FRESH_S:
                return
            known = [shard.address for shard in self.shards]
            for address in dict.fromkeys((*known, *self._nodes, *self._url.nodes)):
                try:
                    reply = await asyncio.wait_for(self.server(address).call(("CLUSTER", "SLOTS")), _TOLD_WITHIN_S)
                except (RedisError, OSError, TimeoutError):
                    continue
                if reply:
                    await self._adopt(cast("Sequence[Sequence[object]]", reply), address[0])
                    return
        raise RedisConnectionError("no node of the Redis Cluster tells its slots")

    def home(self, slot: int) -> Address | None:
        """Who has a slot."""
        return self._homes[slot]

    def moved(self, slot: int, address: Address) -> None:
        """Note that a slot has moved."""
        self._homes[slot] = address
        self._told_at = 0.0

    def server(self, address: Address) -> Server:
        """The server at an address."""
        if address not in self._servers:
            self._servers[address] = Server(address, self._url, PATIENCE_S)
        return self._servers[address]

    async def close(self) -> None:
        """Close all connections."""
        for server in self._servers.values():
            await server.close()
        self._servers.clear()

    async def _adopt(self, reply: Sequence[Sequence[object]], asked: str) -> None:
        self.shards, self._nodes = read_map(reply, asked), read_nodes(reply, asked)
        self._homes = [None] * SLOTS
        for shard in self.shards:
            for first, last in shard.spans:
                self._homes[first : last + 1] = [shard.address] * (last + 1 - first)
        self._told_at = monotonic()
        for address in self._servers.keys() - {*self._nodes, *self._url.nodes}:
            await self._servers.pop(address).close()

"""Looking into Redis by its own commands, wherever it is: what tests do and the product does not."""

import redis.asyncio as aioredis
from redis.asyncio.cluster import ClusterNode, RedisCluster

from ias.contract.redis_url import Kind, read_redis_url
from ias.edge import Edge


class LookingEdge(Edge):
    """An Edge with a client for a cluster too; redis-py's own one, which shares nothing with the product's."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        read = read_redis_url(url)
        self._looking = (
            RedisCluster(startup_nodes=[ClusterNode(*node) for node in read.nodes], require_full_coverage=False)
            if read.kind is Kind.CLUSTER
            else None
        )

    @property
    def redis(self) -> aioredis.Redis:
        return self._looking or super().redis

    async def close(self) -> None:
        await super().close()
        if self._looking is not None:
            await self._looking.aclose()

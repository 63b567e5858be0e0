"""One shard of a Redis Cluster: the connection to its master, and the commands that are under way to it."""

from collections.abc import Callable
from time import monotonic
from typing import Protocol

import msgspec

from ias.contract.redis_url import Address, RedisUrl
from ias.contract.shards import Span, name_of, slot_of, unmarked
from ias_gateway.asked import Listener, Reply, Then
from ias_gateway.redis import Redis, pack


class Pending(Listener):
    """A command under way to a shard; where it meets trouble, `until` is when it is given up."""

    __slots__ = ("listener", "packed", "shard", "tag", "until")

    def __init__(self, shard: "Shard", tag: str, listener: Listener, packed: bytes) -> None:
        self.shard = shard
        self.tag = tag
        self.listener = listener
        self.packed = packed
        self.until = 0.0

    def answered(self, reply: Reply) -> None:
        if isinstance(reply, Exception):
            self.shard.cluster.troubled(self.shard, self, reply)
        else:
            self.listener.answered(reply)


class Cluster(Protocol):
    """Where a shard belongs."""

    def opened(self, shard: "Shard", *, same: bool) -> None:
        """The shard is connected."""

    def troubled(self, shard: "Shard", pending: Pending, error: Exception) -> None:
        """The shard answered with an error, or was lost over the command."""


class Shard(Redis):
    """A connection whose errors the cluster is told of, which may know where else to go.

    Attributes:
        cluster: where it belongs.
        spans: the slots that its server has, by the last look at the map.
        needed_at: when it was last found in a map or a redirection, as a monotonic time.
    """

    def __init__(self, url: RedisUrl, address: Address, timeout_s: float, cluster: Cluster) -> None:
        at = msgspec.structs.replace(url, nodes=(address,))
        super().__init__(at, timeout_s, lambda same: cluster.opened(self, same=same))
        self.spans: tuple[Span, ...] = ()
        self.needed_at = monotonic()
        self.cluster = cluster

    @property
    def name(self) -> str:
        """Its address."""
        return name_of(self.address)

    def vouches(self, told: Reply, tag: str = "") -> bool:
        """Whether its mark names the organisation's slot, or all that it has."""
        slots = ((slot_of(tag), slot_of(tag)),) if tag else self.spans
        return isinstance(told, bytes) and not unmarked(slots, told.decode())

    def write(self, tag: str, listener: Listener, packed: bytes, *, last: bool = False, soon: bool = False) -> None:
        """Send a command; where the shard does not answer it, the cluster sees what is to be done."""
        super().write(tag, Pending(self, tag, listener, packed), packed, last=last, soon=soon)

    def carry(self, pending: Pending) -> None:
        """Send a command that met trouble elsewhere."""
        pending.shard = self
        super().write(pending.tag, pending, pending.packed)

    def count_keys(self, slot: int, callback: Callable[[Reply], None]) -> None:
        """How many keys of a slot the server has."""
        super().write("", Then(callback), pack(("CLUSTER", "COUNTKEYSINSLOT", slot)))

"""Where the state is that requests are decided by: one Redis, a master that sentinels name, or a cluster."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Protocol

from ias.contract.redis_url import Kind, RedisUrl, read_redis_url
from ias_gateway.asked import Asking
from ias_gateway.redis import Redis
from ias_gateway.sentinel import Master
from ias_gateway.shards import Here, OnOpen, Shards


class Store(Asking, Protocol):
    """What is asked or told about an organisation goes to where its tag says."""

    @property
    def connected(self) -> bool:
        """Whether any of it answers."""

    @property
    def parts(self) -> Mapping[str, Redis]:
        """Each connection, by the name of what it leads to."""

    def start(self) -> None:
        """Begin to connect, and keep connecting."""

    async def close(self) -> None:
        """Close for good; what still waits fails."""

    def handed_over(self, tag: str) -> bool:
        """Whether the kernel has all that was written for an organisation."""

    async def whole(self, tag: str) -> bool:
        """Whether every organisation that would be where this one is has been projected. Raises as `ask`."""


def open_store(url: str, timeout_s: float, on_open: OnOpen) -> Store:
    """What a URL leads to, not yet connected.

    `on_open` is called with each new connection: whether it leads to the server of the one before, which then has what
    it had, and a function that says of a tag whether that organisation is there.

    Raises:
        ValueError: the URL is bad.
    """
    read = read_redis_url(url)
    if read.kind is Kind.CLUSTER:
        return Shards(read, timeout_s, on_open)
    return _kind(read)(read, timeout_s, partial(_opened, on_open))


def everywhere(_: str) -> bool:
    """Any organisation."""
    return True


def _kind(url: RedisUrl) -> Callable[[RedisUrl, float, Callable[[bool], None]], Redis]:
    return Master if url.kind is Kind.SENTINEL else Redis


def _opened(on_open: OnOpen, same: bool) -> None:  # noqa: FBT001 - what a callback is told
    here: Here = everywhere
    on_open(same, here)

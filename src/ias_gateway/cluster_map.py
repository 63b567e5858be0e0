"""Asking a Redis Cluster which of its masters has which slots."""

import asyncio
from collections.abc import Sequence
from random import sample
from typing import cast

import msgspec

from ias.contract import shards
from ias.contract.redis_url import Address, RedisUrl
from ias_gateway.asked import RedisDown, Reply
from ias_gateway.greeting import login
from ias_gateway.question import ANSWER_WITHIN_S, ask_at
from ias_gateway.redis import Redis

_QUESTION = ("CLUSTER", "SLOTS")


class Found(msgspec.Struct, frozen=True):
    """A map: the masters with their slots, and every node that the cluster knows of."""

    shards: list[shards.Shard]
    nodes: list[Address]


async def look(url: RedisUrl, nodes: Sequence[Address], known: Sequence[Redis]) -> Found | None:
    """The map as the first node that answers has it: one of the connections, else any of the addresses.

    None where no node answers.
    """
    for connection in sample(known, len(known)):
        if connection.connected:
            try:
                reply = await asyncio.wait_for(connection.call(*_QUESTION), ANSWER_WITHIN_S)
            except (RedisDown, TimeoutError):
                continue
            if found := _read(reply, connection.address[0]):
                return found
    return await _look_anywhere(url, nodes)


async def _look_anywhere(url: RedisUrl, nodes: Sequence[Address]) -> Found | None:
    greetings = login(url.user, url.password)
    for address in nodes:
        try:
            reply = await ask_at(address, greetings, _QUESTION, tls=url.tls)
        except RedisDown:
            continue
        if found := _read(reply, address[0]):
            return found
    return None


def _read(reply: Reply, asked: str) -> Found | None:
    """The map in a reply; None where the node that gave it knows of no slots, or tells no map."""
    parts = cast("list[list[object]]", reply)
    try:
        return Found(shards.read_map(parts, asked), shards.read_nodes(parts, asked)) if parts else None
    except (AttributeError, IndexError, TypeError, ValueError):
        return None

"""The projection that the gateways decide by, and the Function library that holds it."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import msgspec
import redis.asyncio as aioredis
from redis.exceptions import RedisError, ResponseError

from ias.contract import admission, forms
from ias.contract.admission import Argument, Command, Reply
from ias.contract.key_records import NO_RULES, Rules
from ias.contract.redis_url import Kind, RedisUrl, read_redis_url
from ias.contract.shards import Shard
from ias.edge.alone import Alone, Followed
from ias.edge.cluster import Cluster
from ias.edge.server import Servers
from ias.outages import Outage


class EdgeDown(Outage):
    """Redis does not answer, so nothing that gateways decide by can be changed now."""


class KeyRecord(msgspec.Struct, frozen=True):
    """What gateways know of a key. Ids are text; `expires_at` is in Unix seconds."""

    fingerprint: str
    key_id: str
    user_id: str
    expires_at: int | None = None
    rules: Rules = NO_RULES


_KINDS: dict[Kind, Callable[[RedisUrl], Servers]] = {
    Kind.ALONE: Alone,
    Kind.SENTINEL: Followed,
    Kind.CLUSTER: Cluster,
}


class Edge:
    """Redis, wherever it is. Answers are bytes.

    A command goes to the server that has the organisation whose key it names.
    """

    def __init__(self, url: str) -> None:
        read = read_redis_url(url)
        self._servers: Servers = _KINDS[read.kind](read)

    @property
    def redis(self) -> aioredis.Redis:
        """The client of the server, where there is one.

        Raises:
            EdgeDown: there are several.
        """
        if self._servers.only is None:
            raise EdgeDown("a Redis Cluster has no one server")
        return self._servers.only.client

    async def close(self) -> None:
        """Close all connections."""
        await self._servers.close()

    async def call(self, command: Command) -> object:
        """Run one command.

        Raises:
            EdgeDown: Redis does not answer, or cannot write.
        """
        try:
            return await self._servers.call(command)
        except (RedisError, OSError) as error:
            raise _down(error) from error

    async def calls(self, commands: Sequence[Command]) -> list[object]:
        """Run many commands in one round trip, not in one transaction.

        Raises:
            EdgeDown: Redis does not answer, or refused one of them; the others may have been run.
        """
        answers = await self.tries(commands)
        for answer in answers:
            if isinstance(answer, Exception):
                raise _down(answer) from answer
        return answers

    async def tries(self, commands: Sequence[Command]) -> list[object]:
        """Run many commands in one round trip: the answers, an error in the place of its answer.

        Raises:
            EdgeDown: Redis does not answer.
        """
        try:
            return await self._servers.calls(commands) if commands else []
        except (RedisError, OSError) as error:
            raise _down(error) from error

    async def shards(self) -> list[Shard]:
        """The servers as they are now: the one with all slots, or the masters of a cluster with theirs.

        Raises:
            EdgeDown: Redis does not answer.
        """
        try:
            return await self._servers.shards()
        except (RedisError, OSError) as error:
            raise _down(error) from error

    async def at(self, shard: Shard, command: Command) -> object:
        """Run a command on one server.

        Raises:
            EdgeDown: it does not answer, or refuses.
        """
        try:
            return await self._servers.at(shard, command)
        except (RedisError, OSError) as error:
            raise _down(error, shard.name) from error

    async def reachable(self, tags: Sequence[str]) -> list[str]:
        """Those organisations whose server is not known to be away: work for them need not wait for others'.

        Raises:
            EdgeDown: Redis does not answer.
        """
        try:
            return await self._servers.reachable(tags)
        except (RedisError, OSError) as error:
            raise _down(error) from error

    async def groups(self, tags: Sequence[str], most: int) -> list[Sequence[str]]:
        """The organisations in groups of at most so many that one command may name together."""
        return await self._servers.groups(tags, most)

    async def load_library(self, only: Shard | None = None) -> None:
        """Put this release's Function library in on every server, or this one; the same one again changes nothing.

        Raises:
            EdgeDown: a server does not answer; the others have it.
        """
        failed = []
        for shard in await self.shards() if only is None else [only]:
            try:
                await self.at(shard, ("FUNCTION", "LOAD", "REPLACE", admission.LIBRARY))
            except EdgeDown as error:
                failed.append(error)
        if failed:
            raise failed[0]

    async def library_is_current(self) -> bool:
        """Whether every server that answers runs this release's Function library.

        Raises:
            EdgeDown: none answers.
        """
        versions = await self._library_says(admission.LIBRARY_VERSION_CALL)
        return all(version == admission.LIBRARY_VERSION.encode() for version in versions)

    async def library_serves(self) -> bool:
        """Whether every server that answers runs a library, this release's or a newer one, that understands our calls.

        Raises:
            EdgeDown: none answers.
        """
        return all(said is not None and forms.serves(said) for said in await self._library_says(forms.FORMS_CALL))

    async def _library_says(self, call: Command) -> list[object]:
        """What each server that answers says to a call; None where its library does not know it.

        Raises:
            EdgeDown: none answers.
        """
        said: list[object] = []
        failure = EdgeDown("Redis does not answer: no server has any slots")
        for shard in await self.shards():
            try:
                said.append(await self.at(shard, call))
            except EdgeDown as error:
                if "not found" in str(error).lower():
                    said.append(None)
                failure = error
        if not said:
            raise failure
        return said

    async def grant(self, tag: str, key: KeyRecord, version: int) -> None:
        """Let a key in, unless something newer is known of it."""
        owner = (key.key_id, key.user_id)
        known = admission.grant(tag, key.fingerprint, version, owner, key.expires_at)
        await self.call((*known, *key.rules.fields()))

    async def revoke(self, tag: str, key: KeyRecord, version: int) -> None:
        """Turn a key away; returns once Redis has confirmed."""
        await self.call(admission.revoke(tag, key.fingerprint, version, (key.key_id, key.user_id)))

    async def project(self, tag: str, section: str, version: int, fields: Mapping[str, Argument]) -> None:
        """Replace a section of an organisation's projection, unless a newer one is there."""
        await self.call(admission.project(tag, section, version, fields))

    async def complete(self, tag: str) -> None:
        """Say that an organisation's projection is whole."""
        await self.call(admission.complete(tag))

    async def lost(self) -> list[Shard]:
        """Where not every organisation has been projected since it was last empty: slots, by server.

        Raises:
            EdgeDown: Redis does not answer.
        """
        try:
            return await self._servers.lost()
        except (RedisError, OSError) as error:
            raise _down(error) from error

    async def whole(self) -> bool:
        """Whether every organisation has been projected since Redis was last empty. Raises as `lost`."""
        return not await self.lost()

    async def mark_whole(self, shard: Shard | None = None) -> None:
        """Say that every organisation has been projected, or every one that has a slot of this shard.

        Raises:
            EdgeDown: Redis does not answer.
        """
        for each in await self.lost() if shard is None else [shard]:
            try:
                await self._servers.mark(each)
            except (RedisError, OSError) as error:
                raise _down(error) from error

    async def standing(self, tag: str, user: str) -> Reply:
        """Used and held tokens of this month (see the Function library's `standing`)."""
        return cast("Reply", await self.call(admission.standing(tag, user)))


def _down(error: Exception, who: str = "") -> EdgeDown:
    where = f"Redis at {who}" if who else "Redis"
    return EdgeDown(f"{where} {'refused' if isinstance(error, ResponseError) else 'does not answer'}: {error}")

"""A Redis Cluster: each command goes to the shard that has its organisation; one that is away holds up no other.

redis-py's own cluster client is not used: on some errors it closes the connections to every shard, a pipeline that met
one sends again what had been answered, and ASKING may take another connection than the command that it is for.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import cast

from redis.exceptions import AskError, MovedError, RedisError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from ias.contract.admission import Command
from ias.contract.redis_url import Address, RedisUrl
from ias.contract.shards import Shard, mark_of, marked, slot_of, slot_of_key, unmarked
from ias.edge.map import Map
from ias.edge.server import Server

HOLD_S = 2.0
"""How long a call waits for a slot that is being moved."""
AGAIN_S = 0.05
PROBE_S = 0.5
REST_S = 1.0
"""How long a slot that is being moved is let alone after that."""

_AWAY = (RedisConnectionError, RedisTimeoutError, OSError)
_KEYLESS = frozenset({"CLUSTER", "FCALL", "FCALL_RO", "FUNCTION", "INFO", "PING", "ROLE", "TIME"})
"""Commands that name no key, where they name no organisation's."""
_TAG = "{o:"


class Cluster:
    """Every master of the cluster that has slots."""

    only: Server | None = None

    def __init__(self, url: RedisUrl) -> None:
        self._map = Map(url)
        self._away: dict[Address, float] = {}
        self._moving: dict[int, float] = {}

    async def call(self, command: Command) -> object:
        """The answer of the shard that has the command's organisation; of any, where it names none."""
        (answer,) = await self.calls([command])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def calls(self, commands: Sequence[Command]) -> list[object]:
        """The answers of the shards in the commands' order, an error in the place of its answer."""
        await self._map.have()
        answers: list[object] = [None] * len(commands)
        places, until = list(range(len(commands))), monotonic() + HOLD_S
        while True:
            found = await self._round([commands[place] for place in places])
            for place, (answer, _) in zip(places, found, strict=True):
                answers[place] = answer
            places = [place for place, (_, again) in zip(places, found, strict=True) if again]
            if not places or monotonic() > until:
                break
            await asyncio.sleep(AGAIN_S)
        self._moving |= {_slot(commands[place]): monotonic() + REST_S for place in places}
        return answers

    async def shards(self) -> list[Shard]:
        """The masters as they are now, with their slots."""
        await self._map.refresh()
        return self._map.shards

    async def at(self, shard: Shard, command: Command) -> object:
        """The answer of this shard."""
        (answer,) = await self._ask(shard.address, [command])
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def lost(self) -> list[Shard]:
        """The slots, by shard, that are not marked as projected. Shards that do not answer are not among them."""
        lost = []
        for shard in await self.shards():
            if shard.address in self._away and not await self._probe(shard.address):
                continue
            try:
                mark = await self._mark(shard)
            except (RedisError, OSError):
                continue
            left = unmarked(shard.spans, mark)
            if left:
                lost.append(Shard(shard.address, left))
            elif mark != mark_of(shard.spans):
                # A slot that left must not count as projected should it come back.
                await self.at(shard, ("SET", shard.mark, mark_of(shard.spans)))
        return lost

    async def mark(self, shard: Shard) -> None:
        """Mark these slots as projected, as far as they are still there."""
        for now in await self.shards():
            if now.address == shard.address:
                known = f"{await self._mark(now)} {mark_of(shard.spans)}"
                await self.at(now, ("SET", now.mark, mark_of(marked(now.spans, known))))

    async def reachable(self, tags: Sequence[str]) -> list[str]:
        """Those organisations whose shard is not known to be away, and whose slot is not being moved."""
        await self._map.have()
        for address in tuple(self._away):
            await self._probe(address)
        self._moving = {slot: until for slot, until in self._moving.items() if until > monotonic()}
        slots = {tag: slot_of(tag) for tag in tags}
        there = (None, *self._away)
        return [tag for tag, slot in slots.items() if slot not in self._moving and self._map.home(slot) not in there]

    async def groups(self, tags: Sequence[str], most: int) -> list[Sequence[str]]:
        """By slot, for that is what a cluster lets one command name."""
        slots: dict[int, list[str]] = {}
        for tag in tags:
            slots.setdefault(slot_of(tag), []).append(tag)
        return [some[start : start + most] for some in slots.values() for start in range(0, len(some), most)]

    async def close(self) -> None:
        """Close all connections."""
        await self._map.close()

    async def _mark(self, shard: Shard) -> str:
        told = cast("bytes | None", await self.at(shard, ("GET", shard.mark)))
        return (told or b"").decode()

    async def _probe(self, address: Address) -> bool:
        """Whether a server is back, or no longer needed."""
        try:
            await asyncio.wait_for(self._map.server(address).call(("PING",)), PROBE_S)
        except (RedisError, OSError, TimeoutError):
            await self._map.refresh()
            if address in [shard.address for shard in self._map.shards]:
                return False
        self._away.pop(address, None)
        return True

    async def _round(self, commands: Sequence[Command]) -> list[tuple[object, bool]]:
        """Ask once for each: the answer or error, and whether to ask again."""
        groups: dict[Address | None, list[int]] = {}
        for place, command in enumerate(commands):
            groups.setdefault(self._home(command), []).append(place)
        asked = [self._ask(address, [commands[place] for place in places]) for address, places in groups.items()]
        found: list[tuple[object, bool]] = [(None, False)] * len(commands)
        for (address, places), answers in zip(groups.items(), await asyncio.gather(*asked), strict=True):
            for place, answer in zip(places, answers, strict=True):
                found[place] = await self._look(commands[place], address, answer)
        return found

    def _home(self, command: Command) -> Address | None:
        slot = _slot(command)
        if slot >= 0:
            return self._map.home(slot)
        everyone = [shard.address for shard in self._map.shards]
        return next((address for address in everyone if address not in self._away), next(iter(everyone), None))

    async def _ask(self, address: Address | None, commands: Sequence[Command]) -> Sequence[object]:
        if address is None:
            return [RedisConnectionError("no shard of the Redis Cluster has the slot")] * len(commands)
        try:
            answers = await self._map.server(address).calls(commands)
        except _AWAY as error:
            self._away[address] = monotonic()
            return [error] * len(commands)
        except RedisError as error:
            return [error] * len(commands)
        self._away.pop(address, None)
        return answers

    async def _look(self, command: Command, address: Address | None, answer: object) -> tuple[object, bool]:
        """An answer, and whether another one is to be asked for."""
        if isinstance(answer, AskError) and address is not None:
            return await self._follow(command, address, answer)
        if isinstance(answer, MovedError) and address is not None:
            self._map.moved(int(answer.slot_id), (answer.host or address[0], int(answer.port)))
            return answer, True
        if isinstance(answer, _AWAY):
            return answer, await self._is_elsewhere(command, address)
        return answer, isinstance(answer, TryAgainError)

    async def _is_elsewhere(self, command: Command, address: Address | None) -> bool:
        """Whether what was lost over a command has another home by now."""
        try:
            await self._map.refresh()
        except RedisError:
            return False
        return self._home(command) not in {None, address}

    async def _follow(self, command: Command, source: Address, there: AskError) -> tuple[object, bool]:
        """Ask where a slot is going.

        What a Function call names exists on neither side: it waits for the last key, for it must see all or nothing.
        """
        if str(command[0]).startswith("FCALL"):
            (left,) = await self._ask(source, [("CLUSTER", "COUNTKEYSINSLOT", int(there.slot_id))])
            if left != 0:
                return there, True
        target = (there.host or source[0], int(there.port))
        answers = await self._ask(target, [("ASKING",), command])
        return answers[-1], isinstance(answers[-1], (MovedError, TryAgainError))


def _slot(command: Command) -> int:
    """The slot of the organisation that a command names, or of its first argument; -1 where it names no key."""
    for argument in command[1:]:
        if isinstance(argument, str) and argument.startswith(_TAG):
            return slot_of_key(argument)
    return -1 if command[0] in _KEYLESS else slot_of_key(str(command[1]))

"""A Redis Cluster: each organisation's commands go to the shard that has its slot, one pipelined connection a shard.

A slot that has moved is followed (MOVED): the map changes and the command goes again to where it belongs. A slot that
is being moved key by key (ASK) is left in peace until the last of its keys has gone, and only then followed: what a
Function call names exists on neither side, and half an organisation must not be decided by. Its commands wait a moment,
then they are "not now"; a settlement is kept and sent again until it is confirmed.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from time import monotonic

import hiredis

from ias.contract import shards
from ias.contract.redis_url import Address, RedisUrl
from ias.contract.shards import SLOTS, Redirection, slot_of
from ias_gateway.asked import Asked, Asking, Listener, RedisDown, Reply, Then
from ias_gateway.cluster_map import Found, look
from ias_gateway.ending import end
from ias_gateway.fiber import Pause
from ias_gateway.redis import Redis, pack
from ias_gateway.shard import Pending, Shard

Here = Callable[[str], bool]
"""Whether the organisation with this tag is meant."""
OnOpen = Callable[[bool, Here], None]

SHARD = "shard "
"""What the name of a shard's connection begins with."""
LOOK_EVERY_S = 5.0
LOOK_AGAIN_S = 0.5
"""Between two looks at the map: as a rule, and while a shard is missing."""
AGAIN_S = 0.02
UNUSED_S = 30.0
_WATCH_EVERY_S = 0.05
_UNSURE = ("CLUSTERDOWN", "MASTERDOWN", "LOADING", "READONLY")
_ASKING = pack(("ASKING",))
_NO_SHARD = "no shard of the Redis Cluster has this organisation's slot"


class Shards(Asking):
    """Keeps a connection to every master of the cluster that has slots.

    Args:
        url: some of its nodes.
        timeout_s: how long `ask` waits.
        on_open: called with whether what was known before is still there, and for which organisations.
    """

    def __init__(self, url: RedisUrl, timeout_s: float, on_open: OnOpen) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._on_open = on_open
        self._loop = asyncio.get_running_loop()
        self._homes: list[Shard | None] = [None] * SLOTS
        self._shards: dict[Address, Shard] = {}
        self._nodes: list[Address] = list(url.nodes)
        self._stale = True
        self._keeper: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def connected(self) -> bool:
        """Whether any shard answers."""
        return any(shard.connected for shard in self._shards.values())

    @property
    def parts(self) -> dict[str, Redis]:
        """The connection to each shard that has slots, by its name."""
        return {f"{SHARD}{shard.name}": shard for shard in self._shards.values() if shard.spans}

    def start(self) -> None:
        """Begin to connect, and keep connecting."""
        self._keeper = self._loop.create_task(self._keep())

    async def close(self) -> None:
        """Close for good; what still waits fails."""
        await end(self._keeper)
        self._homes = [None] * SLOTS
        await asyncio.gather(*(shard.close() for shard in self._shards.values()), *self._closing)

    def ask(self, tag: str, packed: bytes, late: Listener | None = None) -> Asked:
        """The answer to a packed command about an organisation, for a fiber; see `Redis.ask`.

        Raises:
            RedisDown: its shard does not answer now.
        """
        return self._home(tag).ask(tag, packed, late)

    async def whole(self, tag: str) -> bool:
        """Whether every organisation in this one's slot has been projected. Raises as `ask`."""
        return await self._home(tag).whole(tag)

    def write(self, tag: str, listener: Listener, packed: bytes, *, last: bool = False) -> None:
        """Send a command that `pack` made; see `Redis.write`."""
        home = self._homes[slot_of(tag)]
        if home is None:
            listener.answered(RedisDown(_NO_SHARD))
        else:
            home.write(tag, listener, packed, last=last)

    def handed_over(self, tag: str) -> bool:
        """Whether the kernel has all that was written for an organisation."""
        home = self._homes[slot_of(tag)]
        return home is not None and home.handed_over(tag)

    def flushed(self, tag: str) -> Pause[None]:
        """Wait until what was written for an organisation has been handed to the kernel."""
        home = self._homes[slot_of(tag)]
        if home is not None:
            return home.flushed(tag)
        pause: Pause[None] = Pause()
        pause.resolve(None)
        return pause

    def troubled(self, shard: Shard, pending: Pending, error: Exception) -> None:
        """A shard answered with an error, or was lost over the command."""
        text = str(error) if isinstance(error, hiredis.ReplyError) else ""
        pending.until = pending.until or monotonic() + self._timeout_s
        redirection = shards.read_redirection(text, shard.address[0])
        if redirection is not None and redirection.asking:
            shard.count_keys(redirection.slot, partial(self._counted, redirection, pending, error))
        elif redirection is not None:
            self._settle_at(redirection)
            self._send(pending, error)
        elif text.startswith("TRYAGAIN") or (not text and self._homes[slot_of(pending.tag)] not in {None, shard}):
            self._later(pending, error)
        else:
            self._stale = self._stale or text.startswith(_UNSURE)
            pending.listener.answered(error)

    def _home(self, tag: str) -> Shard:
        home = self._homes[slot_of(tag)]
        if home is None:
            raise RedisDown(_NO_SHARD)
        return home

    def _send(self, pending: Pending, error: Exception) -> None:
        home = self._homes[slot_of(pending.tag)]
        if home is not None and home.connected:
            home.carry(pending)
        else:
            self._later(pending, error)

    def _later(self, pending: Pending, error: Exception) -> None:
        if monotonic() < pending.until:
            self._loop.call_later(AGAIN_S, self._send, pending, error)
        else:
            pending.listener.answered(error)

    def _counted(self, there: Redirection, pending: Pending, error: Exception, count: Reply) -> None:
        """How many keys of the slot are still where it was, or why that is not known."""
        target = self._shard(there.address)
        if count == 0 and target.connected:
            Redis.write(target, pending.tag, Then(_ignore), _ASKING)
            target.carry(pending)
        else:
            self._later(pending, error)

    def _shard(self, address: Address) -> Shard:
        shard = self._shards.get(address)
        if shard is None:
            shard = self._shards[address] = Shard(self._url, address, self._timeout_s, self)
            shard.start()
        shard.needed_at = monotonic()
        return shard

    def opened(self, shard: Shard, *, same: bool) -> None:
        """A shard is connected."""
        self._on_open(same, lambda tag: self._homes[slot_of(tag)] is shard)

    def _settle_at(self, moved: Redirection) -> None:
        """Note that a slot has another home; the whole map is looked at soon."""
        self._stale = True
        shard = self._shard(moved.address)
        if self._homes[moved.slot] is not shard:
            self._homes[moved.slot] = shard
            self._taken_over({moved.slot: shard})

    def _taken_over(self, slots: dict[int, Shard]) -> None:
        """Shards have slots that were others'. What these were lost over is sent again to those that are connected."""
        ready = {slot for slot, shard in slots.items() if shard.connected}
        if ready:
            self._on_open(False, lambda tag: slot_of(tag) in ready)  # noqa: FBT003 - what a callback is told

    async def _keep(self) -> None:
        looked_at = 0.0
        while True:
            missing = not self._shards or any(not shard.connected for shard in self._shards.values() if shard.spans)
            pause = 0.0 if self._stale else LOOK_AGAIN_S if missing else LOOK_EVERY_S
            if monotonic() - looked_at >= pause:
                self._stale = False
                self._adopt(await look(self._url, self._nodes, list(self._shards.values())))
                looked_at = monotonic()
            await asyncio.sleep(_WATCH_EVERY_S)
            for shard in self._shards.values():
                if not shard.connected:
                    shard.give_up_when_late()

    def _adopt(self, found: Found | None) -> None:
        """Go by this map from now on."""
        if found is None:
            return
        self._nodes = list(dict.fromkeys((*found.nodes, *self._url.nodes)))
        homes: list[Shard | None] = [None] * SLOTS
        for shard in self._shards.values():
            shard.spans = ()
        for part in found.shards:
            shard = self._shard(part.address)
            shard.spans, shard.mark = part.spans, part.mark
            for first, last in part.spans:
                homes[first : last + 1] = [shard] * (last + 1 - first)
        before, self._homes = self._homes, homes
        self._taken_over(
            {slot: home for slot, home in enumerate(homes) if home is not None and home is not before[slot]}
        )
        self._let_go()

    def _let_go(self) -> None:
        """Close the connections to servers that have no slots, and get none."""
        for address, shard in tuple(self._shards.items()):
            if not shard.spans and monotonic() - shard.needed_at > UNUSED_S:
                del self._shards[address]
                closing = self._loop.create_task(shard.close())
                self._closing.add(closing)
                closing.add_done_callback(self._closing.discard)


def _ignore(_: Reply) -> None:
    """The answer to ASKING says nothing."""

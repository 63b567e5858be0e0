"""The relay: hands what is settled in Redis on to the sink, and acknowledges what the sink has confirmed.

Every entry is handed on at least once: what was read and not acknowledged, by this relay before it was restarted or
by one that died, is read again. Who takes in must know what it has; both consumers do.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from loguru import logger
from prometheus_client import Counter

from ias.billing.ledger import outbox
from ias.billing.ledger.actions import quarantine
from ias.billing.ledger.domain import BadEntry, event_of
from ias.billing.ledger.outbox import MINE, NEW, Entry
from ias.contract.usage import EXCHANGE, UsageRecorded
from ias.db import DatabaseDown
from ias.edge import Edge, EdgeDown
from ias.identity import tags
from ias.intake import Batch, Reject
from ias.lag import LAGS
from ias.traces import following

RELAYED = Counter("ias_relay_relayed", "Outbox entries that the sink has confirmed.")

Sink = Callable[[Batch], Awaitable[None]]
"""Returns once the batch is safe elsewhere, and raises where it may not be."""

PER_TURN = 2000
"""Entries read at a time, over all organisations: one that is busy does not hold up the others."""
LEAST = 20
"""Of each organisation, however many there are."""
BATCH = 200
"""Events in one message, or one transaction."""
IN_FLIGHT = 4
REFRESH_S = 1.0
CLAIM_S = 5.0
IDLE_S = 0.1

Pair = tuple[Entry, UsageRecorded]


class Relay:
    """One relay of the group; `consumer` names it, and the same name after a restart finds its own again."""

    def __init__(self, edge: Edge, sink: Sink, consumer: str, takeover_s: float) -> None:
        self._edge = edge
        self._sink = sink
        self._consumer = consumer
        self._takeover_ms = int(takeover_s * 1000)
        self._known: list[str] = []
        self._tags: list[str] = []
        self._opened: set[str] = set()
        self._behind = True
        self._refresh_at = self._claim_at = 0.0
        self._slots = asyncio.Semaphore(IN_FLIGHT)

    async def turn(self) -> float:
        """One round over all outboxes. Answers how many seconds to rest before the next.

        Raises:
            Exception: Redis or the sink does not answer; nothing is lost, come back later.
        """
        try:
            await self._prepare()
            moved = 0
            if self._behind:
                moved += await self._hand_on(MINE)
                self._behind = moved > 0
            moved += await self._hand_on(NEW)
        except BaseException:
            self._behind = True
            self._opened.clear()
            self._refresh_at = 0.0
            raise
        return 0.0 if moved else IDLE_S

    async def leave(self) -> None:
        """Take this relay off the groups."""
        try:
            await outbox.leave(self._edge, self._consumer, sorted(self._opened))
        except EdgeDown as error:
            logger.warning("the relay's name stays in its groups: {}", error)

    async def _prepare(self) -> None:
        moment = time.monotonic()
        if moment >= self._refresh_at:
            await self._refresh()
            self._refresh_at = moment + REFRESH_S
        missing = [tag for tag in self._tags if tag not in self._opened]
        if missing:
            await outbox.open_groups(self._edge, missing)
            self._opened.update(missing)
        if moment >= self._claim_at:
            taken = await outbox.claim(self._edge, self._consumer, self._tags, self._takeover_ms)
            self._behind = self._behind or taken > 0
            self._claim_at = moment if taken else moment + CLAIM_S

    async def _refresh(self) -> None:
        try:
            self._known = await tags()
        except DatabaseDown:
            if not self._known:
                raise
        self._tags = await self._edge.reachable(self._known)

    async def _hand_on(self, start: str) -> int:
        share = max(LEAST, PER_TURN // max(1, len(self._tags)))
        entries = await outbox.read(self._edge, self._consumer, self._tags, start, share)
        if not entries:
            return 0
        pairs, useless = _decoded(entries)
        if useless:
            await self._set_aside(useless)
        batches = [pairs[at : at + BATCH] for at in range(0, len(pairs), BATCH)]
        results = await asyncio.gather(*map(self._deliver, batches), return_exceptions=True)
        failures = [result for result in results if isinstance(result, BaseException)]
        if failures:
            raise failures[0]
        return len(entries)

    async def _deliver(self, batch: Sequence[Pair]) -> None:
        events = [event for _, event in batch]
        async with self._slots:
            with following("send", EXCHANGE, events):
                await self._sink(events)
        await outbox.acknowledge(self._edge, [entry for entry, _ in batch])
        RELAYED.inc(len(batch))
        LAGS.observe("relay", [event.settled_at for event in events])

    async def _set_aside(self, useless: Sequence[tuple[Entry, str]]) -> None:
        """What no event can be made of must not keep the others waiting, not even while PostgreSQL is away."""
        rejects = [
            Reject(reason=reason, body=_body(entry), origin="outbox") for entry, reason in useless if entry.fields
        ]
        try:
            if rejects:
                await quarantine(rejects)
        except DatabaseDown as error:
            logger.warning("{} undecodable outbox entries wait to be set aside: {}", len(rejects), error)
            return
        await outbox.delete(self._edge, [entry for entry, _ in useless])


def _decoded(entries: Sequence[Entry]) -> tuple[list[Pair], list[tuple[Entry, str]]]:
    pairs, useless = [], []
    for entry in entries:
        try:
            pairs.append((entry, event_of(entry.fields, entry.at_ms)))
        except BadEntry as error:
            useless.append((entry, str(error)))
    return pairs, useless


def _body(entry: Entry) -> bytes:
    fields = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in entry.fields.items()}
    return msgspec.json.encode({"outbox": entry.tag, "entry": entry.id.decode(), "fields": fields})

"""What is done about the ledger by the clock: sweeping, clearing outboxes, relaying again, opening months."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

import prometheus_client as prometheus
from loguru import logger

from ias.billing.ledger import outbox
from ias.billing.ledger.domain import BadEntry, event_of
from ias.billing.ledger.outbox import Entry
from ias.billing.ledger.queries import Place
from ias.billing.ledger.relay import BATCH, Sink
from ias.contract import admission
from ias.contract.usage import UsageRecorded
from ias.db import EVERYWHERE, transaction
from ias.edge import Edge
from ias.identity import tags
from ias.telemetry import now

SWEPT = prometheus.Counter("ias_sweep_swept", "Requests of lost gateways that were settled from their last checkpoint.")
AGAIN = prometheus.Counter("ias_relay_again", "Outbox entries relayed again: the ledger did not have them.")
LENGTH = prometheus.Gauge("ias_outbox_entries", "Settlements in Redis that are not known to be in the ledger yet.")
OLDEST = prometheus.Gauge("ias_outbox_oldest_seconds", "Age of the oldest of them.")

SWEEP_MOST = 500
STREAMS = 20
PAGE = 500
MONTHS_AHEAD = 2

Settled = Callable[[Sequence[Place]], Awaitable[set[Place]]]
"""Which of these a consumer has taken in, or set aside for good."""


async def sweep(edge: Edge) -> None:
    """Settle the requests whose gateway no longer holds their lease, in every organisation."""
    some = await tags()
    while some:
        replies = await edge.calls([admission.sweep(tag, SWEEP_MOST) for tag in some])
        swept = [cast("int", reply) for reply in replies]
        if sum(swept):
            SWEPT.inc(sum(swept))
            logger.warning("settled {} requests of lost gateways from their last checkpoint", sum(swept))
        some = [tag for tag, count in zip(some, swept, strict=True) if count >= SWEEP_MOST]


async def clear(edge: Edge, settled_by: Sequence[Settled]) -> None:
    """Delete from the outboxes what every consumer has."""
    for some in await _some_tags():
        await _clear(edge, some, settled_by)


async def measure(edge: Edge) -> None:
    """How much waits in the outboxes, and for how long."""
    left, oldest = 0, 0.0
    for some in await _some_tags():
        left += sum(cast("list[int]", await edge.calls([("XLEN", admission.outbox(tag)) for tag in some])))
        oldest = max([oldest, *(_age_s(entry) for entry in await outbox.first(edge, some, {}, 1))])
    LENGTH.set(left)
    OLDEST.set(oldest)


async def _clear(edge: Edge, streams: list[str], settled_by: Sequence[Settled]) -> None:
    """Goes on in a stream as long as whole pages bring something to delete."""
    after: dict[str, bytes] = {}
    while streams:
        entries = await outbox.first(edge, streams, after, PAGE)
        done, _ = await _sorted_out(entries, settled_by)
        await outbox.delete(edge, done)
        after.update({entry.tag: entry.id for entry in entries})
        whole = Counter(entry.tag for entry in entries)
        streams = [tag for tag in {entry.tag for entry in done} if whole[tag] == PAGE]


async def relay_again(edge: Edge, settled_by: Sequence[Settled], sink: Sink, older_than_s: float) -> None:
    """Relay what should have been taken in long ago once more: the queue may have lost it."""
    for some in await _some_tags():
        entries = await outbox.first(edge, some, {}, PAGE)
        _, open_ones = await _sorted_out([e for e in entries if _age_s(e) > older_than_s], settled_by)
        events = [event for entry in open_ones if (event := _event(entry)) is not None]
        for start in range(0, len(events), BATCH):
            await sink(events[start : start + BATCH])
        if events:
            AGAIN.inc(len(events))
            logger.warning("relayed {} settlements again that no ledger line was found of", len(events))


async def open_periods() -> None:
    """Make the ledger's partitions of this month and the next ones."""
    moment = now().replace(day=1)
    async with transaction(EVERYWHERE) as connection:
        for _ in range(MONTHS_AHEAD + 1):
            await connection.execute("SELECT billing.open_period($1)", f"{moment:%Y%m}")
            moment = _next_month(moment)


async def _sorted_out(entries: Sequence[Entry], settled_by: Sequence[Settled]) -> tuple[list[Entry], list[Entry]]:
    """Those that every consumer has, and the others."""
    places = {entry.id + entry.tag.encode(): _place(entry) for entry in entries}
    asked = [place for place in places.values() if place is not None]
    done = set(asked)
    for settled in settled_by:
        if done:
            done &= await settled(sorted(done))
    have = [entry for entry in entries if places[entry.id + entry.tag.encode()] in done]
    return have, [entry for entry in entries if places[entry.id + entry.tag.encode()] not in done]


def _place(entry: Entry) -> Place | None:
    try:
        return UUID(entry.fields[b"r"].decode()), int(entry.fields[b"l"])
    except (KeyError, ValueError):
        return None


def _event(entry: Entry) -> UsageRecorded | None:
    try:
        return event_of(entry.fields, entry.at_ms)
    except BadEntry:
        return None


def _age_s(entry: Entry) -> float:
    return now().timestamp() - entry.at_ms / 1000


def _next_month(moment: datetime) -> datetime:
    return (moment + timedelta(days=32)).replace(day=1)


async def _some_tags() -> Iterator[list[str]]:
    every = await tags()
    return (every[start : start + STREAMS] for start in range(0, len(every), STREAMS))

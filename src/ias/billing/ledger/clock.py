"""What is done about the ledger by the clock: sweeping, clearing outboxes, relaying again, opening months."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import compress
from typing import cast
from uuid import UUID

import msgspec
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

SWEEP_MOST = 500
STREAMS = 20
FIRST_PAGE = 50
"""While consumers are behind there is nothing to delete, and looking for it costs."""
PAGE = 500
MONTHS_AHEAD = 2

_decode_id = msgspec.json.Decoder(UUID).decode

Settled = Callable[[Sequence[Place]], Awaitable[set[Place]]]
"""Which of these a consumer has taken in, or set aside for good."""


async def sweep(edge: Edge) -> None:
    """Settle the requests whose gateway no longer holds their lease, in every organisation."""
    some = await edge.reachable(await tags())
    while some:
        replies = await edge.calls([admission.sweep(tag, SWEEP_MOST) for tag in some])
        swept = [cast("int", reply) for reply in replies]
        if sum(swept):
            SWEPT.inc(sum(swept))
            logger.warning("settled {} requests of lost gateways from their last checkpoint", sum(swept))
        some = [tag for tag, count in zip(some, swept, strict=True) if count >= SWEEP_MOST]


async def clear(edge: Edge, settled_by: Sequence[Settled]) -> None:
    """Delete from the outboxes what every consumer has."""
    for some in await _some_tags(edge):
        await _clear(edge, some, settled_by)


async def _clear(edge: Edge, streams: list[str], settled_by: Sequence[Settled]) -> None:
    """Goes on in a stream as long as whole pages bring something to delete; the first page is a small one."""
    after: dict[str, bytes] = {}
    page = FIRST_PAGE
    while streams:
        entries = await outbox.first(edge, streams, after, page)
        done, _ = await _sorted_out(entries, settled_by)
        await outbox.delete(edge, done)
        after.update({entry.tag: entry.id for entry in entries})
        whole = Counter(entry.tag for entry in entries)
        streams = [tag for tag in {entry.tag for entry in done} if whole[tag] == page]
        page = PAGE


async def relay_again(edge: Edge, settled_by: Sequence[Settled], sink: Sink, older_than_s: float) -> None:
    """Relay what should have been taken in long ago once more: the queue may have lost it."""
    for some in await _some_tags(edge):
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
    places = [_place(entry) for entry in entries]
    done = {place for place in places if place is not None}
    for settled in settled_by:
        if done:
            done &= await settled(list(done))
    have = [place in done for place in places]
    return list(compress(entries, have)), [entry for entry, had in zip(entries, have, strict=True) if not had]


def _place(entry: Entry) -> Place | None:
    try:
        return _decode_id(b'"%b"' % entry.fields[b"r"]), int(entry.fields[b"l"])
    except (KeyError, ValueError, msgspec.MsgspecError):
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


async def _some_tags(edge: Edge) -> Iterator[list[str]]:
    every = await edge.reachable(await tags())
    return (every[start : start + STREAMS] for start in range(0, len(every), STREAMS))

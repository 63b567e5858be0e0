"""What the check compares: the ledger's sums, what waits in outboxes, what is set aside, what was found before."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from ias.billing.check.domain import Fields, Months, Place, Total, Waiting, add, set_aside, waiting
from ias.billing.ledger import outbox
from ias.billing.ledger.outbox import order
from ias.contract.books import USED, Counted, books, of_user, read_books
from ias.contract.key_records import of_key
from ias.db import EVERYWHERE, Connection, snapshot, transaction
from ias.edge import Edge
from ias.identity import Caps, Tenant, capped
from ias.telemetry import now

STREAMS = 20
PAGE = 500
"""Entries of each of them."""
ASIDE_PAGE = 1000
TWO_MONTHS = timedelta(days=62)
NOT_COMPARED = (None, None)

_BOOKED = """
SELECT org_id, period, user_id, sum(prompt_tokens + completion_tokens)::bigint AS tokens FROM billing.spend
WHERE org_id = ANY($1) AND period >= $2 GROUP BY org_id, period, user_id
"""
_BOOKED_BY_KEYS = """
SELECT org_id, period, key_id, sum(prompt_tokens + completion_tokens)::bigint AS tokens FROM billing.spend
WHERE org_id = ANY($1) AND period >= $2 AND key_id = ANY($3) GROUP BY org_id, period, key_id
"""
_TOTALS = """
SELECT org_id, sum(requests)::bigint AS requests, sum(prompt_tokens + completion_tokens)::bigint AS tokens
FROM billing.spend WHERE org_id = ANY($1) AND period >= $2 GROUP BY org_id
"""
_SEEN = """
SELECT s.request_id, s.line FROM billing.ledger_seen s
JOIN unnest($1::uuid[], $2::integer[]) AS asked (request_id, line) USING (request_id, line)
"""
_ASIDE = "SELECT id, body FROM billing.quarantine WHERE replayed_at IS NULL AND id > $1 ORDER BY id LIMIT $2"
_CHECKS = "SELECT kind, checked_at, took_s, organisations, drifting, tokens, oldest_open FROM billing.checks"
_DRIFTS = "SELECT org_id, period, account, difference FROM billing.drifts WHERE kind = $1"

Seen = Callable[[Connection, Sequence[Place]], Awaitable[set[Place]]]
"""Which of these a consumer has."""


class Other(msgspec.Struct, frozen=True):
    """Another consumer of usage: what it has, and organisations' requests and tokens since the start of a month."""

    seen: Seen
    totals: Callable[[Connection, Sequence[UUID], datetime], Awaitable[Mapping[UUID, tuple[int, int]]]]


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """The last check of a kind: used, held or analytics. `tokens` is by how many it was wrong.

    `oldest_open` is when the oldest settlement was made that the ledger (used) or analytics did not have then.
    """

    kind: str
    checked_at: datetime
    took_s: float
    organisations: int
    drifting: int
    tokens: int
    oldest_open: datetime | None = None


class Books(msgspec.Struct):
    """An organisation at one moment: what Redis counts, what it should, and what ledger and the other will have had.

    `ledger` and `other` are None where totals are not compared; `caps` are the keys that have one.
    """

    org: Tenant
    caps: Caps
    counted: Counted
    should: Months
    ledger: Total | None
    other: Total | None


class Reading(msgspec.Struct):
    """Some organisations, and when the oldest settlement was made that the ledger, or the other, does not have."""

    books: list[Books]
    ledger_oldest: datetime | None = None
    other_oldest: datetime | None = None


class _Entry(msgspec.Struct, frozen=True):
    books: Books
    settled_at: datetime
    waiting: Waiting


async def read(edge: Edge, orgs: Sequence[Tenant], other: Other, *, totals: bool) -> Reading:
    """The books of organisations, exact at the moment at which Redis was asked, while nobody deletes from outboxes.

    Raises:
        EdgeDown: Redis does not answer.
        DatabaseDown: PostgreSQL does not.
    """
    ids, since = [org.id for org in orgs], now() - TWO_MONTHS
    caps = defaultdict(dict, await capped(ids))
    async with snapshot(EVERYWHERE) as connection:
        booked = await _booked(connection, ids, since, [UUID(key) for some in caps.values() for key in some])
        sums = await _totals(connection, ids, since, other) if totals else {}
        replies = await edge.calls([books(org.tag) for org in orgs])
        reading = Reading(
            [
                Books(org, caps[org.id], read_books(reply), booked.get(org.id, {}), *sums.get(org.id, NOT_COMPARED))
                for org, reply in zip(orgs, replies, strict=True)
            ]
        )
        async for entries in _waiting(edge, reading.books):
            await _add(connection, reading, entries, other)
    return reading


async def aside() -> dict[str, Months]:
    """Tokens of what is in quarantine and not in the ledger, by the owner's id or tag."""
    sums: dict[str, Months] = {}
    after = UUID(int=0)
    while True:
        async with transaction(EVERYWHERE) as connection:
            rows = await connection.fetch(_ASIDE, after, ASIDE_PAGE)
            found = [one for row in rows for one in set_aside(row["body"])]
            have = await seen(connection, _places(one.waiting for one in found))
        for one in found:
            if one.waiting.place not in have:
                add(sums.setdefault(one.owner, {}), one.waiting)
        if len(rows) < ASIDE_PAGE:
            return sums
        after = rows[-1]["id"]


async def checks() -> dict[str, Check]:
    """The last check of each kind."""
    async with transaction(EVERYWHERE) as connection:
        return {row["kind"]: msgspec.convert(dict(row), Check) for row in await connection.fetch(_CHECKS)}


async def drifts(kind: str) -> dict[tuple[UUID, str], Fields]:
    """What the last check of a kind found and did not repair, by organisation and month."""
    found: dict[tuple[UUID, str], Fields] = {}
    async with transaction(EVERYWHERE) as connection:
        for row in await connection.fetch(_DRIFTS, kind):
            found.setdefault((row["org_id"], row["period"]), {})[row["account"]] = row["difference"]
    return found


async def _booked(
    connection: Connection, orgs: Sequence[UUID], since: datetime, keys: Sequence[UUID]
) -> dict[UUID, Months]:
    sums: dict[UUID, Months] = {}
    for row in await connection.fetch(_BOOKED_BY_KEYS, orgs, f"{since:%Y%m}", keys) if keys else ():
        fields = sums.setdefault(row["org_id"], {}).setdefault(row["period"], {})
        fields[of_key(str(row["key_id"]))] = row["tokens"]
    for row in await connection.fetch(_BOOKED, orgs, f"{since:%Y%m}"):
        fields = sums.setdefault(row["org_id"], {}).setdefault(row["period"], {})
        fields[USED] = fields.get(USED, 0) + row["tokens"]
        fields[of_user(str(row["user_id"]))] = row["tokens"]
    return sums


async def _totals(
    connection: Connection, orgs: Sequence[UUID], since: datetime, other: Other
) -> dict[UUID, tuple[Total, Total]]:
    period = f"{since:%Y%m}"
    rows = await connection.fetch(_TOTALS, orgs, period)
    ledger = {row["org_id"]: Total(period, row["requests"], row["tokens"]) for row in rows}
    month = since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    others = await other.totals(connection, orgs, month)
    return {org: (ledger.get(org, Total(period)), Total(period, *others.get(org, (0, 0)))) for org in orgs}


async def _waiting(edge: Edge, some: Sequence[Books]) -> AsyncIterator[list[_Entry]]:
    """What is in the outboxes up to the entry that was the last when the books were read; some at a time."""
    by_tag = {one.org.tag: one for one in some if one.counted.last}
    for start in range(0, len(by_tag), STREAMS):
        after: dict[str, bytes] = {}
        streams = list(by_tag)[start : start + STREAMS]
        while streams:
            entries = await outbox.first(edge, streams, after, PAGE)
            after = {entry.tag: entry.id for entry in entries}
            inside = [entry for entry in entries if order(entry.id) <= order(by_tag[entry.tag].counted.last)]
            yield [
                _Entry(by_tag[entry.tag], datetime.fromtimestamp(entry.at_ms / 1000, UTC), one)
                for entry in inside
                if (one := waiting(entry.fields)) is not None
            ]
            streams = [tag for tag, entry in after.items() if order(entry) < order(by_tag[tag].counted.last)]


async def _add(connection: Connection, reading: Reading, entries: Sequence[_Entry], other: Other) -> None:
    """Add what is not booked yet to what Redis should count, and to the totals."""
    places = _places(entry.waiting for entry in entries)
    in_ledger, in_other = await seen(connection, places), await other.seen(connection, places)
    for entry in entries:
        if entry.waiting.place not in in_ledger:
            add(entry.books.should, entry.waiting)
            reading.ledger_oldest = min(reading.ledger_oldest or entry.settled_at, entry.settled_at)
            if entry.books.ledger is not None:
                entry.books.ledger.add(entry.waiting)
        if entry.waiting.place not in in_other:
            reading.other_oldest = min(reading.other_oldest or entry.settled_at, entry.settled_at)
            if entry.books.other is not None:
                entry.books.other.add(entry.waiting)


async def seen(connection: Connection, places: Sequence[Place]) -> set[Place]:
    """Those that the ledger has."""
    rows = await connection.fetch(_SEEN, [place[0] for place in places], [place[1] for place in places])
    return {(row["request_id"], row["line"]) for row in rows}


def _places(some: Iterable[Waiting]) -> list[Place]:
    return [one.place for one in some if one.place is not None]

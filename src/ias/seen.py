"""Telling usage that comes for the first time from what came before.

A batch lies in a temporary table, and a table of what was seen says which of its lines are fresh, in the transaction
that writes them.
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import asyncpg
import msgspec

from ias.contract.sound import fingerprint
from ias.contract.usage import UsageRecorded

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

Place = tuple[int, int]
"""A request's number, which is quicker than its id, and a line."""
Known = Mapping[Place, asyncpg.Record]
"""What is noted of a batch, with `fresh` and `body_hash`; nothing where all of it is fresh."""

_NOTE = """
INSERT INTO {seen} (request_id, line, body_hash)
SELECT request_id, line, body_hash FROM pg_temp.{incoming}
ON CONFLICT DO NOTHING
"""

# Where it was this transaction that wrote them, they are fresh.
_KNOWN = """
SELECT s.request_id, s.line, s.body_hash, s.xmin = pg_current_xact_id()::xid AS fresh
FROM {seen} s JOIN pg_temp.{incoming} USING (request_id, line)
"""

_FORGET = """
DELETE FROM pg_temp.{incoming} i USING {seen} s
WHERE (s.request_id, s.line) = (i.request_id, i.line) AND s.xmin <> pg_current_xact_id()::xid
"""


class Seen(msgspec.Struct, frozen=True):
    """What one consumer has seen.

    Attributes:
        table: where it is noted: request_id, line, body_hash.
        incoming: the temporary table in which a batch lies.
    """

    table: str
    incoming: str

    async def note(self, connection: Connection, whole: int) -> Known:
        """Note all that came as seen, and leave in the temporary table what is fresh.

        Answers what is noted of it, or nothing where all of the `whole`, counted in events, is fresh.
        """
        names = {"seen": self.table, "incoming": self.incoming}
        done = await connection.execute(_NOTE.format(**names))
        if int(done.rpartition(" ")[2]) == whole:
            return {}
        rows = await connection.fetch(_KNOWN.format(**names))
        await connection.execute(_FORGET.format(**names))
        return {(row["request_id"].int, row["line"]): row for row in rows}

    def contradicting(self, events: Sequence[UsageRecorded], known: Known) -> list[UsageRecorded]:
        """Those that have another body than what is noted of them."""
        return [event for event in events if known and known[place_of(event)]["body_hash"] != fingerprint(event)]


def place_of(event: UsageRecorded) -> Place:
    """The request and line of an event."""
    return event.request_id.int, event.line


def each_once(events: Sequence[UsageRecorded]) -> list[UsageRecorded]:
    """The first event of each request and line, in their order: writers never wait in a circle."""
    by_place = {place_of(event): event for event in reversed(events)}
    return [by_place[place] for place in sorted(by_place)]


def is_fresh(event: UsageRecorded, known: Known) -> bool:
    """Whether it comes for the first time."""
    return not known or bool(known[place_of(event)]["fresh"])

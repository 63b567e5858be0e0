"""The outboxes in Redis, one stream an organisation: reading as the group `relay`, acknowledging, deleting."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import msgspec

from ias.contract import admission
from ias.contract.admission import Command
from ias.edge import Edge

GROUP = "relay"
JANITOR = "ias.worker.janitor"
"""Whoever deletes entries is `sole` by this name, and who adds up what is not booked yet is so too."""
STREAMS_PER_CALL = 100
CLAIM_MOST = 100
"""Of each stream; the rest is claimed the next time."""
NEW = ">"
MINE = "0"
"""What this consumer was given and has not acknowledged."""

_Raw = tuple[bytes, Mapping[bytes, bytes]]


class Entry(msgspec.Struct, frozen=True):
    """One settlement in the outbox of the organisation with this tag. `fields` is empty where it was deleted."""

    tag: str
    id: bytes
    fields: Mapping[bytes, bytes]

    @property
    def at_ms(self) -> int:
        """When it was added, Unix milliseconds by Redis's clock."""
        return int(self.id.split(b"-")[0])


async def open_groups(edge: Edge, tags: Sequence[str]) -> None:
    """Make the group where it is missing; it begins with the first entry that is there."""
    for some in _chunks(tags):
        # Most often it is refused: the group is there.
        await edge.tries([("XGROUP", "CREATE", admission.outbox(tag), GROUP, "0", "MKSTREAM") for tag in some])


async def read(edge: Edge, consumer: str, tags: Sequence[str], start: str, most: int) -> list[Entry]:
    """Up to `most` entries of each stream: NEW ones, or MINE.

    Raises:
        EdgeDown: Redis does not answer, or a group is missing.
    """
    calls: list[Command] = [
        ("XREADGROUP", "GROUP", GROUP, consumer, "COUNT", most, "STREAMS", *_heads(some, start))
        for some in await edge.groups(tags, STREAMS_PER_CALL)
    ]
    entries = []
    for reply in await edge.calls(calls):
        for key, raw in cast("list[tuple[bytes, list[_Raw]]]", reply or []):
            entries += _entries(_tag(key), raw)
    return entries


async def claim(edge: Edge, consumer: str, tags: Sequence[str], idle_ms: int) -> int:
    """Take over what others were given and did not acknowledge for so long; read it as MINE. Answers how many."""
    taken = 0
    for some in _chunks(tags):
        calls: list[Command] = [
            ("XAUTOCLAIM", admission.outbox(tag), GROUP, consumer, idle_ms, "0", "COUNT", CLAIM_MOST) for tag in some
        ]
        for reply in await edge.calls(calls):
            _, entries, *_ = cast("tuple[bytes, list[_Raw], list[bytes]]", reply)
            taken += len(entries)
    return taken


async def acknowledge(edge: Edge, entries: Iterable[Entry]) -> None:
    """Say that these have been handed on; they stay in the stream until they are deleted."""
    await edge.calls([("XACK", admission.outbox(tag), GROUP, *ids) for tag, ids in _by_tag(entries).items()])


async def delete(edge: Edge, entries: Iterable[Entry]) -> None:
    """Delete these: they are in PostgreSQL."""
    calls: list[Command] = []
    for tag, ids in _by_tag(entries).items():
        calls += [("XACK", admission.outbox(tag), GROUP, *ids), ("XDEL", admission.outbox(tag), *ids)]
    await edge.calls(calls)


async def first(edge: Edge, tags: Sequence[str], after: Mapping[str, bytes], most: int) -> list[Entry]:
    """Up to `most` entries of each stream, oldest first, after the one given for it."""
    calls: list[Command] = [
        ("XRANGE", admission.outbox(tag), b"(" + after[tag] if tag in after else "-", "+", "COUNT", most)
        for tag in tags
    ]
    entries = []
    for tag, reply in zip(tags, await edge.calls(calls), strict=True):
        entries += _entries(tag, cast("list[_Raw]", reply))
    return entries


def order(entry_id: bytes) -> tuple[int, int]:
    """What a stream's entries are ordered by."""
    milliseconds, _, number = entry_id.partition(b"-")
    return int(milliseconds), int(number)


async def leave(edge: Edge, consumer: str, tags: Sequence[str]) -> None:
    """Take this consumer's name off the groups; what it had not acknowledged is found by the janitor."""
    for some in _chunks(tags):
        await edge.calls([("XGROUP", "DELCONSUMER", admission.outbox(tag), GROUP, consumer) for tag in some])


def _heads(tags: Sequence[str], start: str) -> list[str]:
    return [*map(admission.outbox, tags), *([start] * len(tags))]


def _entries(tag: str, raw: Iterable[_Raw]) -> list[Entry]:
    return [Entry(tag, entry_id, fields or {}) for entry_id, fields in raw]


def _by_tag(entries: Iterable[Entry]) -> dict[str, list[bytes]]:
    ids: dict[str, list[bytes]] = {}
    for entry in entries:
        ids.setdefault(entry.tag, []).append(entry.id)
    return ids


def _chunks(tags: Sequence[str]) -> Iterable[Sequence[str]]:
    return (tags[start : start + STREAMS_PER_CALL] for start in range(0, len(tags), STREAMS_PER_CALL))


def _tag(key: bytes) -> str:
    return key[len(b"{o:") : key.index(b"}")].decode()

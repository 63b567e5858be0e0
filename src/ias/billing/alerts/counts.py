"""What gateways have counted of a month, read out of Redis a few hundred organisations at a time."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import cast
from uuid import UUID

import msgspec

from ias.billing.alerts.domain import Use
from ias.contract import admission
from ias.contract.admission import Command
from ias.edge import Edge
from ias.identity import Tenant

BATCH = 500
"""Organisations whose sums are read in one round trip."""
BATCH_WITH_MEMBERS = 50
PAGE = 1000
"""About how many fields of a month are read at once: what many members use must not hold admission up."""

Counted = Mapping[bytes, bytes]


class Standing(msgspec.Struct, frozen=True):
    """An organisation's month: whatever changes of it or of its limits changes one of these.

    Attributes:
        policy: version of the limits that gateways go by.
        people: version of who is turned away, such as whoever is removed.
        ends: how often it was noted that a budget refused a request.
    """

    policy: int
    people: int
    use: Use
    ends: int


async def clock(edge: Edge) -> datetime:
    """The present by Redis's clock, which is the one that admission goes by.

    Raises:
        EdgeDown: Redis does not answer.
    """
    seconds, _ = cast("tuple[int, int]", await edge.call(("TIME",)))
    return datetime.fromtimestamp(seconds, UTC)


async def standings(edge: Edge, orgs: Sequence[Tenant], period: str) -> dict[UUID, Standing]:
    """How each organisation stands in a month, as far as its projection is whole and anything was counted.

    Raises:
        EdgeDown: Redis does not answer.
    """
    found: dict[UUID, Standing] = {}
    for some in _chunks(orgs, BATCH):
        calls = [call for org in some for call in _standing_calls(org.tag, period)]
        replies = cast("list[list[bytes | None]]", await edge.calls(calls))
        for org, known, month in zip(some, replies[::2], replies[1::2], strict=True):
            if known[0] == b"1" and any(month):
                use = Use(int(month[0] or 0), None if month[1] is None else int(month[1]))
                found[org.id] = Standing(int(known[1] or 0), int(known[2] or 0), use, int(month[2] or 0))
    return found


async def members(edge: Edge, orgs: Sequence[Tenant], period: str) -> dict[UUID, dict[UUID | None, Use]]:
    """What each member of these organisations used in a month.

    Raises:
        EdgeDown: Redis does not answer.
    """
    found: dict[UUID, dict[UUID | None, Use]] = {}
    for some in _chunks(orgs, BATCH_WITH_MEMBERS):
        months = await _months(edge, some, period)
        found.update({org.id: _uses(months[org.tag]) for org in some})
    return found


async def _months(edge: Edge, orgs: Sequence[Tenant], period: str) -> dict[str, dict[bytes, bytes]]:
    """Every field of these organisations' months, read a page at a time."""
    found: dict[str, dict[bytes, bytes]] = {org.tag: {} for org in orgs}
    cursors = dict.fromkeys(found, 0)
    while cursors:
        calls: list[Command] = [("HSCAN", _month(tag, period), at, "COUNT", PAGE) for tag, at in cursors.items()]
        replies = cast("list[tuple[int, Counted]]", await edge.calls(calls))
        pages = dict(zip(cursors, replies, strict=True))
        for tag, (_, fields) in pages.items():
            found[tag].update(fields)
        cursors = {tag: int(at) for tag, (at, _) in pages.items() if int(at)}
    return found


def _uses(month: Counted) -> dict[UUID | None, Use]:
    uses: dict[UUID | None, Use] = {}
    for field, used in month.items():
        if field.startswith(b"u:"):
            refused = month.get(b"f:" + field[2:])
            uses[UUID(field[2:].decode())] = Use(int(used), None if refused is None else int(refused))
    for field, refused in month.items():
        if field.startswith(b"f:") and b"u:" + field[2:] not in month:
            uses[UUID(field[2:].decode())] = Use(0, int(refused))
    return uses


def _standing_calls(tag: str, period: str) -> tuple[Command, Command]:
    return (
        ("HMGET", f"{admission.slot(tag)}:v", "complete", "pol", "org"),
        ("HMGET", _month(tag, period), "used", "full", "ends"),
    )


def _month(tag: str, period: str) -> str:
    return f"{admission.slot(tag)}:bud:{period}"


def _chunks(orgs: Sequence[Tenant], size: int) -> Iterator[Sequence[Tenant]]:
    return (orgs[start : start + size] for start in range(0, len(orgs), size))

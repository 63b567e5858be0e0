"""Putting a page of usage together: the columns over time, who makes them up, who changed most, how requests went."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from ias.analytics.explorer.domain import (
    OWNERS,
    PARTS,
    By,
    View,
    buckets,
    grain_of,
    label,
    parts,
    series,
    span_of,
    whole_label,
)
from ias.analytics.reading import reading
from ias.analytics.shares.domain import Owner, Part, Shares, Sort
from ias.analytics.shares.queries import COLUMNS, Question, shares
from ias.analytics.shares.queries import rows as share_rows
from ias.analytics.usage.domain import SUMS, Grouping, Groups, Usage
from ias.analytics.usage.queries import scope_of, usage, usage_rows
from ias.analytics.usage.spans import Grain, Span
from ias.analytics.usage.summing import Asked, over_time
from ias.identity import Principal, addresses, key_labels, names

LISTED: Final = 50
"""Rows of a page's table; a CSV has all."""
MOVERS: Final = 5
ORGANISATIONS: Final = 20
_SHOWN: Final = 7
"""Series of a chart, and the others together as one more."""
OTHERS: Final = "others"
_ID_SHOWN: Final = 8


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens over time: the columns' labels, short and whole, and each series' values."""

    grain: Grain
    labels: list[str]
    whole_labels: list[str]
    series: dict[str, list[int]]


class Explored(msgspec.Struct, frozen=True, kw_only=True):
    """What a page of usage shows.

    Attributes:
        shares: who makes it up, or with `By.DAY` which models do.
        movers: who changed most since the time before, whoever went up or down.
        models: the same by model, and how requests went.
        days: the rows of `By.DAY`.
        called: what users, keys and organisations are called, by their ids.
        organisations: those with the most tokens, for the platform.
    """

    span: Span
    chart: Chart
    shares: Shares
    movers: list[Part]
    models: Shares
    days: Usage | None
    called: dict[UUID, str]
    members: dict[UUID, str]
    keys: dict[UUID, str]
    organisations: Shares | None = None


async def explored(principal: Principal, org_id: UUID | None, view: View, moment: datetime) -> Explored:
    """An organisation's usage, or with None the platform's.

    Raises:
        NotFound: it is not the caller's organisation.
        UnknownZone: there is no such time zone.
        BadRange: the time makes no sense.
        BadGrouping: there would be too many columns, or the platform's usage is not summed like that.
        TooMuch: it takes too long.
    """
    asked = Asked(org_id, span_of(view, moment), view.only)
    grain = grain_of(view, asked.span)
    owner = OWNERS.get(view.by, Owner.MODEL)
    found = await shares(principal, _question(asked, owner), LISTED)
    days = await usage(principal, asked, Groups((), grain)) if view.by is By.DAY else None
    # Neither needs the other, and each takes as long as all the rest of the page.
    models, rows = await asyncio.gather(
        _models(principal, asked, owner, found), _over_time(principal, asked, grain, owner, None if days else found)
    )
    moved = await _movers(principal, _question(asked, owner), found)
    shown = [getattr(item, owner.value) for item in (*found.items, *moved)]
    members, keys = await _names(principal, org_id, view, shown)
    called = {**members, **keys, **_unnamed(shown, members.keys() | keys.keys())}
    top = None
    if org_id is None:
        top = await shares(principal, _question(asked, Owner.ORGANISATION), ORGANISATIONS)
        called |= await names([item.org_id for item in top.items if isinstance(item.org_id, UUID)])
    return Explored(
        span=asked.span,
        chart=_chart(asked.span, grain, _named(rows, called), _order(found, owner, called))
        if days is None
        else _chart(asked.span, grain, _parted(days), PARTS),
        shares=found,
        movers=moved,
        models=models,
        days=days,
        called=called,
        members=members,
        keys=keys,
        organisations=top,
    )


def sheet_of(
    principal: Principal, org_id: UUID | None, view: View, moment: datetime
) -> tuple[Sequence[str], AsyncIterator[Sequence[object]]]:
    """The same as a table for a spreadsheet: its columns, and its rows as they are read.

    Raises:
        UnknownZone: there is no such time zone.
        BadRange: the time makes no sense.
        BadGrouping: there would be too many columns.
    """
    asked = Asked(org_id, span_of(view, moment), view.only)
    if view.by is By.DAY:
        by = Groups((), grain_of(view, asked.span))
        return (*by.columns, *SUMS), usage_rows(principal, asked, by)
    owner = OWNERS[view.by]
    return (owner.value, *COLUMNS), share_rows(principal, _question(asked, owner))


def _question(asked: Asked, owner: Owner, sort: Sort = Sort.TOKENS) -> Question:
    return Question(asked.org_id, asked.span, owner, sort, asked.only)


async def _models(principal: Principal, asked: Asked, owner: Owner, found: Shares) -> Shares:
    return found if owner is Owner.MODEL else await shares(principal, _question(asked, Owner.MODEL), LISTED)


async def _movers(principal: Principal, question: Question, found: Shares) -> list[Part]:
    """Who changed most; asked for only where not all are known."""
    if found.rest is None:
        moved = sorted(found.items, key=lambda item: -abs(item.change_tokens))
    else:
        by_change = msgspec.structs.replace(question, sort=Sort.CHANGE, timed=False)
        moved = (await shares(principal, by_change, MOVERS)).items
    return [item for item in moved[:MOVERS] if item.change_tokens]


async def _over_time(
    principal: Principal, asked: Asked, grain: Grain, owner: Owner, found: Shares | None
) -> list[tuple[datetime, str | None, int]]:
    """Tokens of each column and of each of the largest found; of all others together as None's."""
    if found is None:
        return []
    kept = [getattr(item, owner.value) for item in found.items[:_SHOWN]]
    sql, arguments = over_time(asked, grain, Grouping(_GROUPED[owner]), kept)
    async with reading(await scope_of(principal, asked.org_id)) as connection:
        rows = await connection.fetch(sql, *arguments)
    others: Counter[datetime] = Counter()
    for row in rows:
        others[row["start"]] += row["tokens"] if row["owner"] is None else -row["tokens"]
    told = [(row["start"], row["owner"], row["tokens"]) for row in rows if row["owner"] is not None]
    return told + [(at, None, tokens) for at, tokens in others.items() if tokens]


_GROUPED: Final = {Owner.MODEL: "model", Owner.USER: "user", Owner.KEY: "key"}


async def _names(
    principal: Principal, org_id: UUID | None, view: View, shown: Sequence[object]
) -> tuple[dict[UUID, str], dict[UUID, str]]:
    """What members and keys are called: those that the page names, and the newest ones to choose from."""
    if org_id is None:
        return {}, {}
    ids = [each for each in (*shown, view.user, view.key) if isinstance(each, UUID)]
    return await addresses(principal, ids), await key_labels(principal, ids)


def _unnamed(shown: Sequence[object], known: set[UUID]) -> dict[UUID, str]:
    """What those are called that were removed, or whose names the caller may not see."""
    return {each: f"{str(each)[-_ID_SHOWN:]}" for each in shown if isinstance(each, UUID) and each not in known}


def _order(found: Shares, owner: Owner, called: dict[UUID, str]) -> list[str]:
    shown = [getattr(item, owner.value) for item in found.items[:_SHOWN]]
    return [*(_unique(each, called) for each in shown), OTHERS]


def _named(
    rows: Sequence[tuple[datetime, str | None, int]], called: dict[UUID, str]
) -> list[tuple[datetime, str, int]]:
    by_id = {str(each): _unique(each, called) for each in called}
    return [(at, OTHERS if owner is None else by_id.get(owner, owner), tokens) for at, owner, tokens in rows]


def _unique(each: object, called: dict[UUID, str]) -> str:
    """A name that no other of the chart has: keys of one label are told apart by their ids."""
    if not isinstance(each, UUID):
        return str(each)
    name = called[each]
    twins = sum(other == name for other in called.values())
    return name if twins == 1 else f"{name} ({str(each)[-_ID_SHOWN:]})"


def _parted(days: Usage) -> list[tuple[datetime, str, int]]:
    return [
        (item.start, name, tokens)
        for item in days.items
        if isinstance(item.start, datetime)
        for name, tokens in parts(item)
    ]


def _chart(span: Span, grain: Grain, rows: Sequence[tuple[datetime, str, int]], order: Sequence[str]) -> Chart:
    columns = buckets(span, grain)
    return Chart(
        grain=grain,
        labels=[label(at, grain) for at in columns],
        whole_labels=[whole_label(at, grain) for at in columns],
        series=series(columns, rows, grain, order),
    )

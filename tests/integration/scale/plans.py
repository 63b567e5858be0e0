"""How PostgreSQL runs what a route asks of it: every statement that was sent, and what is wrong with its plan."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec
import pytest
from asyncpg import cursor

from ias import db

TINY = {
    "roles": "three",
    "role_permissions": "a few dozen",
    "models": "as many as there are engines",
    "model_backends": "as many as there are engines",
    "rates": "a few of each model",
    "route_debts": "what Redis was not told yet",
    "projection_debts": "what Redis was not told yet",
    "platform_hourly": "a row an hour and model, however many call it",
    "platform_daily": "a row a day and model",
    "engine_readings": "a row for each engine",
    "engine_daily": "a row a day and engine",
}
"""Tables that stay small whatever the platform grows to; reading them whole is the best plan."""
TOLD_TO_ALL = {"organizations", "allowed_models"}
"""Read whole by the routes of `CATALOGUE`: a change of it is told to every organisation, and one asks before whom."""
CATALOGUE = ("POST /models", "PATCH /models", "DELETE /models", "GET /models/{model_id}/callers")
MOST_SORTED = 10_000
"""Rows that a statement may sort: the members of a large organisation, not the platform's."""
LEAST_KEPT = 0.01
"""Of the rows that are read of a large table without knowing where to look, as many must be asked for."""
LARGE = 1000

_EXPLAINED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
_SIZES = "SELECT relname, reltuples::bigint FROM pg_class WHERE relkind IN ('r', 'p')"

Plan = Mapping[str, Any]


@dataclass(frozen=True)
class Statement:
    """What was sent for a route, and how the transaction began that it was in."""

    route: str
    begin: str
    query: str
    arguments: tuple[object, ...]


class Recorder:
    """Hears every statement that goes through `ias.db`."""

    def __init__(self) -> None:
        self.route = ""
        self._heard: dict[tuple[str, str, str], Statement] = {}

    @property
    def statements(self) -> list[Statement]:
        """Each that there was of a route, once for each kind of scope."""
        return list(self._heard.values())

    def listen(self, patch: pytest.MonkeyPatch) -> None:
        """Hear whatever is sent over connections of the pools."""
        plain, factory = db._connected, cursor.CursorFactory

        @asynccontextmanager
        async def heard(pool: db.Pool) -> AsyncIterator[Any]:
            begin = ["BEGIN; SET LOCAL app.everywhere = 'on'" if pool is db.Lookups.pool else "BEGIN"]

            def note(sent: Any) -> None:
                if sent.query.startswith("BEGIN"):
                    begin[:] = [sent.query]
                else:
                    self._note(begin[0], sent.query, tuple(sent.args))

            def opened(connection: Any, query: str, state: Any, args: Any, *rest: Any) -> cursor.CursorFactory:
                self._note(begin[0], query, tuple(args))
                return factory(connection, query, state, args, *rest)

            patch.setattr(cursor, "CursorFactory", opened)
            async with plain(pool) as connection:
                with connection.query_logger(note):
                    yield connection

        patch.setattr(db, "_connected", heard)

    def _note(self, begin: str, query: str, arguments: tuple[object, ...]) -> None:
        if query.lstrip().upper().startswith(_EXPLAINED):
            statement = Statement(self.route, begin, query, arguments)
            self._heard.setdefault((self.route, query, str(len(begin))), statement)


async def faults(url: str, statements: list[Statement]) -> list[str]:
    """What is wrong with the plans, a paragraph for each: route, fault, statement and plan."""
    connection = await asyncpg.connect(url, server_settings={"role": db.ROLE})
    try:
        sizes = {row["relname"]: row["reltuples"] for row in await connection.fetch(_SIZES)}
        found: dict[tuple[str, str], str] = {}
        for each in statements:
            plan = await _plan(connection, each)
            for fault in (fault for node in nodes(plan) if (fault := fault_of(node, sizes, each.route)) is not None):
                found.setdefault((fault, each.query), f"{each.route}: {fault}\n{each.query.strip()}\n{shown(plan)}")
        return list(found.values())
    finally:
        await connection.close()


def fault_of(node: Plan, sizes: Mapping[str, int], route: str) -> str | None:
    """What is wrong with one node of a plan."""
    kind, table = node["Node Type"], node.get("Relation Name", "")
    asked_whole = table in TOLD_TO_ALL and route.startswith(CATALOGUE)
    if table in TINY or asked_whole or table.startswith("pg_"):  # asyncpg asks the catalogue for types
        return None
    if kind == "Sort":  # an incremental one sorts what is equal by what it is in the order of already
        rows = node["Plans"][0]["Plan Rows"]
        return f"sorts {rows} rows" if rows > MOST_SORTED else None
    if kind == "Seq Scan":
        return f"reads all of {table}"
    searching = "Index Scan" in kind or kind == "Index Only Scan"
    if searching and "Index Cond" not in node and "Filter" in node and sizes.get(table, 0) > LARGE:
        kept = node["Plan Rows"] / sizes[table]
        return None if kept >= LEAST_KEPT else f"walks along {table}, of which it wants one row in {1 / kept:.0f}"
    return None


def nodes(plan: Plan) -> Iterator[Plan]:
    """A plan's nodes."""
    yield plan
    for each in plan.get("Plans", ()):
        yield from nodes(each)


def shown(plan: Plan, depth: int = 1) -> str:
    """A plan as people read it."""
    told = [plan["Node Type"], *(str(plan[name]) for name in ("Relation Name", "Index Name") if name in plan)]
    told += [f"{name}: {plan[name]}" for name in ("Index Cond", "Filter", "Sort Key", "Plan Rows") if name in plan]
    below = [shown(each, depth + 1) for each in plan.get("Plans", ())]
    return "\n".join(["  " * depth + ", ".join(told), *below])


async def _plan(connection: asyncpg.Connection, statement: Statement) -> Plan:
    await connection.execute(statement.begin)
    try:
        told = await connection.fetchval(f"EXPLAIN (FORMAT JSON) {statement.query}", *statement.arguments)
    finally:
        await connection.execute("ROLLBACK")
    plan: Plan = msgspec.json.decode(told)[0]["Plan"]
    return plan

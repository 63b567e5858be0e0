"""Taking in what gateways read of engines: what counters grew by, added to the day on which it was read."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import asyncpg

from ias.analytics.engines.counters import Growth, growth
from ias.billing import replicas_of_models
from ias.contract import readings
from ias.contract.readings import Reading
from ias.db import EVERYWHERE, Connection, transaction
from ias.edge import Edge

_LAST = "SELECT * FROM analytics.engine_readings WHERE url = ANY($1) FOR UPDATE"
_GONE = "DELETE FROM analytics.engine_readings WHERE url <> ALL($1)"
_READ = """
INSERT INTO analytics.engine_readings (url, read_at, started_at, prompt_tokens, generation_tokens, requests)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (url) DO UPDATE SET read_at = excluded.read_at, started_at = excluded.started_at,
    prompt_tokens = excluded.prompt_tokens, generation_tokens = excluded.generation_tokens,
    requests = excluded.requests
"""
_GREW = """
INSERT INTO analytics.engine_daily AS d (day, url, models, prompt_tokens, generation_tokens, requests, restarts,
    unseen, watched_s, first_read_at, last_read_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)
ON CONFLICT (day, url) DO UPDATE SET
    models = ARRAY(SELECT DISTINCT name FROM unnest(d.models || excluded.models) AS name ORDER BY name),
    prompt_tokens = d.prompt_tokens + excluded.prompt_tokens,
    generation_tokens = d.generation_tokens + excluded.generation_tokens,
    requests = d.requests + excluded.requests,
    restarts = d.restarts + excluded.restarts,
    unseen = d.unseen + excluded.unseen,
    watched_s = d.watched_s + excluded.watched_s,
    last_read_at = excluded.last_read_at
"""
_NOTHING = Growth(0, 0, 0, 0, 0, 0.0)


async def collect(edge: Edge) -> None:
    """Take in what was read since the last time, and say what is to be read.

    A replica that is gone is forgotten: one that comes back begins with what it shows then.

    Raises:
        EdgeDown: Redis does not answer.
        DatabaseDown: PostgreSQL does not answer.
    """
    async with transaction(EVERYWHERE) as connection:
        models = _by_replica(await replicas_of_models(connection))
        await connection.execute(_GONE, list(models))
    _, reply = await edge.calls([readings.want(sorted(models)), readings.READINGS])
    found = readings.read_readings(reply)
    gone = [reading.url for reading in found if reading.url not in models]
    if gone:
        await edge.call(readings.forget(gone))
    await take_in([reading for reading in found if reading.url in models], models)


async def take_in(found: Sequence[Reading], models: Mapping[str, Sequence[str]]) -> None:
    """Add what counters grew by since they were last read; what was read before that changes nothing.

    A replica that was never read begins with what it shows: that was counted before anybody watched.
    """
    if not found:
        return
    async with transaction(EVERYWHERE) as connection:
        rows = await connection.fetch(_LAST, [reading.url for reading in found])
        known = {row["url"]: _reading(row) for row in rows}
        for reading in found:
            last = known.get(reading.url)
            if last is None or reading.at > last.at:
                grew = _NOTHING if last is None else growth(last, reading)
                await _add(connection, reading, grew, models[reading.url])


async def _add(connection: Connection, reading: Reading, grew: Growth, models: Sequence[str]) -> None:
    at = datetime.fromtimestamp(reading.at, UTC)
    started_at = datetime.fromtimestamp(reading.started_at, UTC) if reading.started_at else None
    counted = reading.prompt_tokens, reading.generation_tokens, reading.requests
    await connection.execute(_READ, reading.url, at, started_at, *counted)
    added = grew.prompt_tokens, grew.generation_tokens, grew.requests, grew.restarts, grew.unseen, grew.watched_s
    await connection.execute(_GREW, at.date(), reading.url, list(models), *added, at)


def _reading(row: asyncpg.Record) -> Reading:
    started_at = row["started_at"].timestamp() if row["started_at"] else 0.0
    counted = row["prompt_tokens"], row["generation_tokens"], row["requests"]
    return Reading(row["url"], row["read_at"].timestamp(), started_at, *counted)


def _by_replica(models: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The models of each replica."""
    found: dict[str, list[str]] = {}
    for name in sorted(models):
        for url in models[name]:
            found.setdefault(url, []).append(name)
    return found

"""Adding what a batch comes to to the rollups, by a few statements whatever its size."""

import random
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import Final

import msgspec

from ias.analytics.usage.rollups import Bucket, ModelBucket, OrgBucket, PlatformBucket, Rollups, Sum, Tally
from ias.analytics.usage.sketch import written
from ias.db import Connection

SLOTS: Final = 8
"""Rows of the platform's sums for each model and hour: writers choose one, so that they seldom wait for each other."""
FOLDED_ABOVE: Final = 384
"""Numbers in `counts` that may lie there unfolded: a row of the platform has some 150 codes, and 8 KiB hold 1,000."""

_SUMS = """
    requests = r.requests + excluded.requests,
    failed = r.failed + excluded.failed,
    prompt_tokens = r.prompt_tokens + excluded.prompt_tokens,
    completion_tokens = r.completion_tokens + excluded.completion_tokens,
    cached_tokens = r.cached_tokens + excluded.cached_tokens
"""

_ADDED = """
INSERT INTO analytics.{table} AS r ({place}, requests, failed, prompt_tokens, completion_tokens, cached_tokens)
SELECT * FROM unnest({arrays}) ON CONFLICT ({place}) DO UPDATE SET {sums}
"""
_KINDS: Final = {
    "org_id": "uuid",
    "bucket": "timestamptz",
    "user_id": "uuid",
    "key_id": "uuid",
    "model": "text",
}

# All counts come as one array, and each row takes its part. They are folded only when they have grown long.
_TALLIES = """
INSERT INTO analytics.{table} AS r (
    {place}, bucket, model, requests, failed, prompt_tokens, completion_tokens, cached_tokens, counts
)
SELECT place, bucket, model, requests, failed, prompt_tokens, completion_tokens, cached_tokens,
    ($11::bigint[])[first + 1:last]
FROM unnest(
    $1::{kind}[], $2::timestamptz[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
    $9::integer[], $10::integer[]
) AS fresh (
    place, bucket, model, requests, failed, prompt_tokens, completion_tokens, cached_tokens, first, last
)
ON CONFLICT ({place}, bucket, model) DO UPDATE SET {sums},
    counts = CASE WHEN cardinality(r.counts) + cardinality(excluded.counts) <= {most}
        THEN r.counts || excluded.counts ELSE analytics.folded(r.counts || excluded.counts) END
"""


def _tallies(table: str, place: str, kind: str) -> str:
    return _TALLIES.format(table=table, place=place, kind=kind, sums=_SUMS, most=FOLDED_ABOVE)


def _added(table: str, *place: str) -> str:
    kinds = [*(_KINDS[column] for column in place), *["bigint"] * 5]
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(kinds, 1))
    return _ADDED.format(table=table, place=", ".join(place), arrays=arrays, sums=_SUMS)


_USAGE_QUARTERS = _added("usage_hourly", *_KINDS)
_USAGE_DAYS = _added("usage_daily", *_KINDS)
_MODEL_QUARTERS = _added("model_quarters", "org_id", "bucket", "model")
_ORG_DAYS = _added("org_daily", "org_id", "bucket")
_MODEL_HOURS = _tallies("model_hourly", "org_id", "uuid")
_MODEL_DAYS = _tallies("model_daily", "org_id", "uuid")
_PLATFORM_HOURS = _tallies("platform_hourly", "slot", "smallint")
_PLATFORM_DAYS = _tallies("platform_daily", "slot", "smallint")


def some_slot() -> int:
    """A slot for a writer's sums of the platform."""
    return random.randrange(SLOTS)  # noqa: S311 - it guards nothing


async def add(connection: Connection, rollups: Rollups) -> None:
    """Add to the rollups, always in the same order, inside the caller's transaction."""
    await _add_sums(connection, _USAGE_QUARTERS, rollups.usage_quarters)
    await _add_sums(connection, _USAGE_DAYS, rollups.usage_days)
    await _add_sums(connection, _MODEL_QUARTERS, rollups.model_quarters)
    await _add_sums(connection, _ORG_DAYS, rollups.org_days)
    await _add_tallies(connection, _MODEL_HOURS, rollups.model_hours)
    await _add_tallies(connection, _MODEL_DAYS, rollups.model_days)
    await _add_tallies(connection, _PLATFORM_HOURS, rollups.platform_hours)
    await _add_tallies(connection, _PLATFORM_DAYS, rollups.platform_days)


async def _add_sums(
    connection: Connection, sql: str, sums: Sequence[tuple[Bucket | ModelBucket | OrgBucket, Sum]]
) -> None:
    rows = [(*msgspec.structs.astuple(bucket), *msgspec.structs.astuple(added)) for bucket, added in sums]
    await connection.execute(sql, *map(list, zip(*rows, strict=True)))


async def _add_tallies(
    connection: Connection, sql: str, tallies: Sequence[tuple[ModelBucket | PlatformBucket, Tally]]
) -> None:
    counts = [written(tally.counts) for _, tally in tallies]
    bounds = pairwise(accumulate(map(len, counts), initial=0))
    rows = [
        (*msgspec.structs.astuple(bucket), *msgspec.structs.astuple(tally.sums), *bound)
        for (bucket, tally), bound in zip(tallies, bounds, strict=True)
    ]
    await connection.execute(sql, *map(list, zip(*rows, strict=True)), list(chain.from_iterable(counts)))

"""Rollups that are summed out of events by SQL, for measurements and where this release finds older ones' events."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import msgspec

from bench.scale_events import Holders, load
from ias.analytics.usage.rollups import Bucket, ModelBucket, PlatformBucket, Tally, rolled_up
from ias.analytics.usage.sketch import read
from ias.contract.usage import Outcome, UsageRecorded
from ias.db import uuid7
from tests.services import Services

COUNT = 3000
TABLES = ("usage_hourly", "usage_daily", "model_hourly", "model_daily", "platform_hourly", "platform_daily")
COARSE = {"org_daily": ("usage_daily", "org_id, bucket"), "model_quarters": ("usage_hourly", "org_id, bucket, model")}
SUMS = ("requests", "failed", "prompt_tokens", "completion_tokens", "cached_tokens")
HOLDERS = Holders(
    orgs=[UUID(int=1), UUID(int=1), UUID(int=2)],
    users=[UUID(int=11), UUID(int=12), UUID(int=13)],
    keys=[UUID(int=21), UUID(int=22), UUID(int=23)],
    models=["a", "b"],
)


def event_of(row: asyncpg.Record) -> UsageRecorded:
    fields = {name: row[name] for name in UsageRecorded.__struct_fields__ if name in row}
    who = {
        "organisation": row["org_id"],
        "user": row["user_id"],
        "key": row["key_id"],
        "outcome": Outcome(row["outcome"]),
    }
    return UsageRecorded(**fields | who, period="202601", model_id=uuid7())


async def test_what_is_loaded_is_rolled_up_as_the_consumer_does_it(world: Services, migrated: str) -> None:
    with world.database(migrated) as url:
        loaded = await load(url, HOLDERS, COUNT, datetime(2026, 3, 1, 5, tzinfo=UTC))
        connection = await asyncpg.connect(url)
        try:
            events = [event_of(row) for row in await connection.fetch("SELECT * FROM analytics.usage_events")]
            rows = {table: await connection.fetch(f"SELECT * FROM analytics.{table}") for table in TABLES}
            seen = await connection.fetchval("SELECT count(*) FROM analytics.usage_seen")
            for table, (source, place) in COARSE.items():
                added = ", ".join(f"sum({name})::bigint" for name in SUMS)
                kept = await connection.fetch(
                    f"SELECT {place}, {', '.join(SUMS)} FROM analytics.{table} ORDER BY {place}"
                )
                summed = f"SELECT {place}, {added} FROM analytics.{source} GROUP BY {place} ORDER BY {place}"
                assert [*map(tuple, kept)] == [*map(tuple, await connection.fetch(summed))] != [], table
        finally:
            await connection.close()

    assert loaded.events == len(events) == seen == COUNT
    assert max(event.started_at for event in events) - min(event.started_at for event in events) > timedelta(days=25)
    rollups = rolled_up(events)
    kinds = {
        "usage_hourly": (Bucket, rollups.usage_quarters),
        "usage_daily": (Bucket, rollups.usage_days),
        "model_hourly": (ModelBucket, rollups.model_hours),
        "model_daily": (ModelBucket, rollups.model_days),
        "platform_hourly": (PlatformBucket, rollups.platform_hours),
        "platform_daily": (PlatformBucket, rollups.platform_days),
    }
    for table, (kind, expected) in kinds.items():
        found = {kind(*tuple(row)[: len(kind.__struct_fields__)]): sums_of(row) for row in rows[table]}
        assert found == {bucket: plain(added) for bucket, added in expected}, table


def sums_of(row: asyncpg.Record) -> tuple[object, ...]:
    counts = read(row["counts"]) if "counts" in row else {}
    return (*(row[name] for name in SUMS), counts)


def plain(added: msgspec.Struct) -> tuple[object, ...]:
    if isinstance(added, Tally):
        return (*msgspec.structs.astuple(added.sums), added.counts)
    return (*msgspec.structs.astuple(added), {})

"""Sums of a day made anew out of its events are the same, whoever writes meanwhile; what may be incomplete is left."""

import asyncio
import random
import subprocess
from datetime import UTC, date, datetime, timedelta

import msgspec

from ias.analytics.doors import INTAKE
from ias.analytics.usage.rebuilding import rebuild
from ias.intake import take_in
from ias.telemetry import now
from tests.integration.billing.doors import environment
from tests.integration.billing.ground import Ground, Org
from tests.integration.billing.test_ledger import events
from tests.product.processes import BIN
from tests.services import Services

TABLES = ("usage_hourly", "usage_daily", "model_hourly", "model_daily", "platform_hourly", "platform_daily")


COARSE = (
    ("org_daily", "usage_daily", "org_id, bucket"),
    ("model_quarters", "usage_hourly", "org_id, bucket, model"),
)
SUMS = ("requests", "failed", "prompt_tokens", "completion_tokens", "cached_tokens")


async def rollups(ground: Ground, day: date) -> dict[str, list[tuple[object, ...]]]:
    """Every sum of a day, with each count once; the platform's whatever slots they are in."""
    found = {}
    for table in TABLES:
        place = "" if table.startswith("platform") else "org_id,"
        people = "user_id, key_id," if table.startswith("usage") else ""
        counts = "NULL" if people else "(SELECT array_agg(c ORDER BY c) FROM unnest(analytics.folded(added)) AS c)"
        arrays = "NULL" if people else "string_agg(array_to_string(counts, ','), ',')"
        found[table] = await ground.rows(
            f"""SELECT s.*, {counts} FROM (
                SELECT {place} bucket, {people} model, sum(requests), sum(failed), sum(prompt_tokens),
                    sum(completion_tokens), sum(cached_tokens),
                    string_to_array(nullif({arrays}, ''), ',')::bigint[] AS added
                FROM analytics.{table} WHERE bucket >= $1 AND bucket < $1 + INTERVAL '1 day'
                GROUP BY {place} bucket, {people} model
            ) AS s ORDER BY {place} bucket, {people} model""",
            datetime(day.year, day.month, day.day, tzinfo=UTC),
        )
    told = {name: [(*row[:-2], row[-1]) for row in rows] for name, rows in found.items()}
    return told | {table: await summed(ground, day, table, place) for table, _, place in COARSE}


async def summed(ground: Ground, day: date, table: str, place: str) -> list[tuple[object, ...]]:
    """What a table comes to by these columns on a day."""
    added = ", ".join(f"sum({name})::bigint" for name in SUMS)
    rows = await ground.rows(
        f"""SELECT {place}, {added} FROM analytics.{table} WHERE bucket >= $1 AND bucket < $1 + INTERVAL '1 day'
        GROUP BY {place} ORDER BY {place}""",
        datetime(day.year, day.month, day.day, tzinfo=UTC),
    )
    return [tuple(row) for row in rows]


async def used(org: Org, day: date, count: int) -> None:
    """Requests at any time of the day, some with adjustments."""
    choose, start = random.Random(count), datetime(day.year, day.month, day.day, tzinfo=UTC)
    batch = []
    for event in events(org, count):
        moment = start + timedelta(seconds=choose.randrange(86_400))
        times = {"started_at": moment, "settled_at": moment, "duration_ms": choose.random() * 5000, "queue_ms": 2.0}
        batch.append(msgspec.structs.replace(event, **times))
        if choose.random() < 0.2:
            batch.append(msgspec.structs.replace(batch[-1], line=2, prompt_tokens=-3))
    for at in range(0, len(batch), 40):
        await take_in(INTAKE, batch[at : at + 40])


async def test_sums_of_a_day_made_anew_are_the_same_and_put_right_what_was_wrong(ground: Ground, org: Org) -> None:
    day, other = date(2026, 2, 3), date(2026, 2, 4)
    await used(org, day, 150)
    await used(org, other, 20)
    right, beside = await rollups(ground, day), await rollups(ground, other)
    for table, source, place in COARSE:
        assert right[table] == await summed(ground, day, source, place) != []
    await ground.owner.execute("UPDATE analytics.org_daily SET requests = 1 WHERE org_id = $1", org.id)
    await ground.owner.execute("UPDATE analytics.usage_hourly SET prompt_tokens = 1 WHERE org_id = $1", org.id)
    await ground.owner.execute("DELETE FROM analytics.model_daily WHERE org_id = $1", org.id)
    assert await rollups(ground, day) != right

    told = await rebuild(day, allow_fewer=False)

    assert (told.made, told.requests, told.tokens) == (True, told.requests_before, told.tokens_before)
    assert await rollups(ground, day) == right
    await rebuild(other, allow_fewer=False)
    assert await rollups(ground, other) == beside


async def test_nothing_is_lost_or_counted_twice_while_consumers_go_on(ground: Ground, org: Org) -> None:
    day = date(2026, 2, 5)
    await used(org, day, 40)

    await asyncio.gather(*(used(org, day, 60) for _ in range(3)), *(rebuild(day, allow_fewer=False) for _ in range(4)))

    whole = await ground.rows(
        """SELECT count(*) FILTER (WHERE line = 1), sum(prompt_tokens + completion_tokens) FROM analytics.usage_events
        WHERE org_id = $1""",
        org.id,
    )
    assert whole[0][0] == 220
    sums = "sum(requests), sum(prompt_tokens + completion_tokens)"
    for table in TABLES[:4]:
        assert await ground.rows(f"SELECT {sums} FROM analytics.{table} WHERE org_id = $1", org.id) == whole, table
    end = await rollups(ground, day)
    await rebuild(day, allow_fewer=False)
    assert await rollups(ground, day) == end


async def test_a_day_of_which_events_may_be_missing_is_left_unless_they_are_believed(ground: Ground, org: Org) -> None:
    day = date(2026, 2, 6)
    await used(org, day, 30)
    await ground.owner.execute(
        "DELETE FROM analytics.usage_events WHERE (request_id, line) IN "
        "(SELECT request_id, line FROM analytics.usage_events WHERE org_id = $1 AND line = 1 LIMIT 10)",
        org.id,
    )
    before = await rollups(ground, day)

    told = await rebuild(day, allow_fewer=False)

    assert (told.made, told.requests_before - told.requests) == (False, 10)
    assert await rollups(ground, day) == before
    assert (await rebuild(day, allow_fewer=True)).made
    assert (await rebuild(day, allow_fewer=False)).requests_before == told.requests


async def test_the_command_tells_of_each_day_and_touches_none_whose_events_are_not_kept(
    ground: Ground, org: Org, world: Services, database_url: str
) -> None:
    today = now().date()
    await used(org, today, 5)
    env = environment(database_url, world.redis_url)

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        argv = (str(BIN / "ias"), "analytics", "rebuild", *options)
        return subprocess.run(argv, env=env, capture_output=True, text=True, check=False, timeout=120)

    before = await rollups(ground, today)
    done = await asyncio.to_thread(run, "--from", f"{today}", "--to", f"{today}")
    assert (done.returncode, done.stdout.startswith(f"{today}: sums ")) == (0, True), done.stderr
    assert await rollups(ground, today) == before
    old = await asyncio.to_thread(run, "--from", "2020-01-01", "--to", f"{today}")
    assert old.returncode == 2
    assert "events are kept for 90 days" in " ".join(old.stderr.split())

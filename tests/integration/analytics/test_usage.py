"""Usage on real PostgreSQL, with and without TimescaleDB: taken in once, summed up, shown to its owner."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import msgspec
import pytest

from ias.analytics.doors import INTAKE, forget, open_months, settled
from ias.contract.usage import Outcome
from ias.db import EVERYWHERE, Within, transaction, uuid7
from ias.intake import take_in
from ias.telemetry import now
from tests.integration.billing.doors import problem
from tests.integration.billing.ground import Ground, Org
from tests.integration.billing.test_ledger import MOMENT, events
from tests.product.people import Org as Team
from tests.product.people import Person
from tests.services import Services

ROLLUPS = ("usage_hourly", "usage_daily", "model_hourly", "model_daily", "org_daily", "model_quarters")
SUMS = "sum(requests)::bigint, sum(prompt_tokens)::bigint, sum(completion_tokens)::bigint, sum(cached_tokens)::bigint"


async def sums(ground: Ground, org: Org) -> tuple[object, ...]:
    """Requests, prompt, completion and cached tokens of the events, which all rollups must equal."""
    [whole] = await ground.rows(
        """SELECT count(*) FILTER (WHERE line = 1), sum(prompt_tokens)::bigint, sum(completion_tokens)::bigint,
        sum(cached_tokens)::bigint FROM analytics.usage_events WHERE org_id = $1""",
        org.id,
    )
    for table in ROLLUPS:
        assert await ground.rows(f"SELECT {SUMS} FROM analytics.{table} WHERE org_id = $1", org.id) == [whole]
    return whole


async def quarantined(ground: Ground, request_id: UUID) -> int:
    count = await ground.value("SELECT count(*) FROM analytics.quarantine WHERE request_id = $1", request_id)
    assert isinstance(count, int)
    return count


def own(team: Team) -> Org:
    """A team's usage, as if its members had called models."""
    return Org(None, UUID(team.id), "", uuid7(), "model-a")


async def test_the_same_batch_twice_gives_each_row_once(ground: Ground, org: Org) -> None:
    batch = events(org, 50)

    await take_in(INTAKE, batch)
    await asyncio.gather(take_in(INTAKE, batch), take_in(INTAKE, batch[::-1]))

    assert await sums(ground, org) == (50, 5000, 500, 3000)


async def test_of_a_batch_that_is_there_in_part_only_the_rest_is_added(ground: Ground, org: Org) -> None:
    batch = events(org, 30)
    await take_in(INTAKE, batch[:10])
    forged = msgspec.structs.replace(batch[3], completion_tokens=999)

    await take_in(INTAKE, [*batch, forged, *batch[25:]])

    assert await sums(ground, org) == (30, 3000, 300, 1800)
    assert await quarantined(ground, batch[3].request_id) == 1


async def test_another_body_under_the_same_id_goes_to_quarantine_and_changes_nothing(ground: Ground, org: Org) -> None:
    [event] = events(org, 1)
    await take_in(INTAKE, [event])

    await take_in(INTAKE, [msgspec.structs.replace(event, completion_tokens=999)])

    assert await sums(ground, org) == (1, 100, 10, 60)
    assert await quarantined(ground, event.request_id) == 1


async def test_what_postgresql_refuses_is_set_aside_alone(ground: Ground, org: Org) -> None:
    batch = events(org, 5)
    batch[3] = msgspec.structs.replace(batch[3], status=2**31)

    await take_in(INTAKE, batch)

    assert (await sums(ground, org))[0] == 4
    assert await quarantined(ground, batch[3].request_id) == 1
    assert await settled([(event.request_id, 1) for event in batch]) == {(event.request_id, 1) for event in batch}


async def test_events_of_any_month_find_their_place(ground: Ground, org: Org) -> None:
    moments = [MOMENT + timedelta(days=31 * months) for months in (-12, -1, 0, 1)]

    for moment in moments:
        await take_in(INTAKE, events(org, 1, started_at=moment, settled_at=moment))

    assert (await sums(ground, org))[0] == 4


async def test_events_of_one_day_fall_into_their_quarters_of_an_hour_and_hours(ground: Ground, org: Org) -> None:
    moments = [MOMENT, MOMENT + timedelta(minutes=59), MOMENT + timedelta(hours=1)]

    await take_in(
        INTAKE, [event for moment in moments for event in events(org, 1, started_at=moment, settled_at=moment)]
    )

    of_table = "SELECT bucket, requests FROM analytics.{} WHERE org_id = $1 ORDER BY bucket"
    quarters = await ground.rows(of_table.format("usage_hourly"), org.id)
    assert quarters == [(MOMENT, 1), (MOMENT + timedelta(minutes=45), 1), (MOMENT + timedelta(hours=1), 1)]
    hours = await ground.rows(of_table.format("model_hourly"), org.id)
    assert hours == [(MOMENT, 2), (MOMENT + timedelta(hours=1), 1)]


async def test_events_are_a_hypertable_exactly_where_timescaledb_is(ground: Ground, world: Services) -> None:
    kind = await ground.value("SELECT relkind::text FROM pg_class WHERE oid = 'analytics.usage_events'::regclass")
    extension = await ground.value("SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'")

    assert (kind, extension) == (("r", 1) if world.timescale else ("p", 0))


async def test_events_keep_row_level_security_and_are_compressed_only_where_that_can_be_beside_it(
    ground: Ground, world: Services
) -> None:
    of_events = "WHERE oid = 'analytics.usage_events'::regclass"
    rules = await ground.rows(f"SELECT relrowsecurity, relforcerowsecurity FROM pg_class {of_events}")
    assert rules == [(True, True)]
    if not world.timescale:
        return
    about = "WHERE hypertable_schema = 'analytics' AND hypertable_name = 'usage_events'"
    licence = await ground.value("SHOW timescaledb.license")
    compresses = await ground.value(f"SELECT compression_enabled FROM timescaledb_information.hypertables {about}")
    policies = await ground.rows(
        f"SELECT proc_name::text, config->>'compress_after' FROM timescaledb_information.jobs {about}"
    )
    # TimescaleDB refuses one beside the other so far, whatever its licence (its issue 6827).
    assert policies == ([("policy_compression", "7 days")] if compresses else [])
    assert licence == "timescale" or not compresses


async def test_old_events_are_forgotten_as_whole_months_or_chunks_and_the_sums_stay(ground: Ground, org: Org) -> None:
    old, fresh = now() - timedelta(days=200), now()
    for moment in (old, fresh):
        await take_in(INTAKE, events(org, 1, started_at=moment, settled_at=moment))
    await open_months()

    await forget(timedelta(days=90), timedelta(days=731))

    left = await ground.rows("SELECT started_at FROM analytics.usage_events WHERE org_id = $1", org.id)
    assert left == [(fresh,)]
    assert await ground.value("SELECT sum(requests) FROM analytics.usage_daily WHERE org_id = $1", org.id) == 2


async def test_forgetting_events_changes_no_figure_but_those_of_single_requests(ground: Ground, team: Team) -> None:
    org, old = own(team), now() - timedelta(days=200)
    batch = [
        event
        for moment in (old, old + timedelta(hours=7), now())
        for event in events(org, 3, started_at=moment, settled_at=moment, duration_ms=700.0)
    ]
    await take_in(INTAKE, batch)
    await open_months()
    asked = {"from": (old - timedelta(days=1)).isoformat(), "to": (now() + timedelta(hours=1)).isoformat()}
    paths = [f"/analytics/orgs/{team.id}/{what}" for what in ("usage", "models", "users", "keys")]
    queries = [{}, {"timezone": "Asia/Kathmandu"}, {"timezone": "Europe/Berlin"}]

    before = [team.user.get(path, **asked, **query) for path in paths for query in queries]
    assert team.user.get(f"/analytics/requests/{batch[0].request_id}")["request_id"]
    await forget(timedelta(days=90), timedelta(days=731))
    after = [team.user.get(path, **asked, **query) for path in paths for query in queries]

    assert [answer | {"data_as_of": None} for answer in after] == [answer | {"data_as_of": None} for answer in before]
    assert before[0]["totals"]["requests"] == 9
    gone = problem(team.user.api.get(f"/analytics/requests/{batch[0].request_id}"), 404)
    assert "ledger" in str(gone["detail"])


async def test_sums_are_forgotten_when_they_are_old_enough(ground: Ground, org: Org) -> None:
    for days in (740, 720):
        moment = now() - timedelta(days=days)
        await take_in(INTAKE, events(org, 1, started_at=moment, settled_at=moment))

    await forget(timedelta(days=90), timedelta(days=731))

    for table in ROLLUPS:
        [[left]] = await ground.rows(f"SELECT count(*) FROM analytics.{table} WHERE org_id = $1", org.id)
        assert left == 1, table
    oldest = await ground.value("SELECT min(bucket) FROM analytics.platform_daily")
    assert isinstance(oldest, datetime)
    assert oldest > now() - timedelta(days=732)


async def test_nobody_can_have_the_sums_of_this_month_forgotten(ground: Ground) -> None:
    with pytest.raises(asyncpg.InvalidParameterValueError):
        await forget(timedelta(days=90), timedelta(days=3))


async def test_an_organisation_sees_its_own_rows_only(ground: Ground, org: Org) -> None:
    other = await ground.organisation()
    await take_in(INTAKE, [*events(org, 2), *events(other, 3)])

    for table in ("usage_events", *ROLLUPS):
        async with transaction(Within(org.id)) as connection:
            seen = await connection.fetch(f"SELECT DISTINCT org_id FROM analytics.{table}")
        assert [row["org_id"] for row in seen] == [org.id]


async def test_the_application_can_change_no_event(ground: Ground, org: Org) -> None:
    for sql in ("UPDATE analytics.usage_events SET status = 0", "DELETE FROM analytics.usage_events"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with transaction(EVERYWHERE) as connection:
                await connection.execute(sql)


@pytest.mark.parametrize("group_by", ["model", "user", "key", "hour", "day", "month"])
async def test_totals_are_the_sums_of_the_items_however_they_are_grouped(
    ground: Ground, team: Team, group_by: str
) -> None:
    org = own(team)
    for days, model in ((0, "model-a"), (0, "model-b"), (1, "model-a"), (31, "model-a")):
        moment = MOMENT - timedelta(days=days)
        org.user, org.key, org.model_name = uuid7(), uuid7(), model
        await take_in(INTAKE, events(org, 2, started_at=moment, settled_at=moment, outcome=Outcome.UPSTREAM_FAILED))

    usage = team.user.get(
        f"/analytics/orgs/{team.id}/usage",
        **{"from": "2025-12-01T00:00:00Z", "to": "2026-02-01T00:00:00Z", "group_by": group_by},
    )

    expected = {"requests": 8, "failed": 8, "prompt_tokens": 800, "completion_tokens": 80, "cached_tokens": 480}
    assert usage["totals"] == expected | {"total_tokens": 880}
    for name, total in usage["totals"].items():
        assert sum(item[name] for item in usage["items"]) == total
    assert len(usage["items"]) == {"model": 2, "user": 4, "key": 4, "hour": 3, "day": 3, "month": 2}[group_by]
    assert usage["data_as_of"]


async def test_a_span_inside_a_day_is_answered_by_the_hour(ground: Ground, team: Team) -> None:
    for hours in (0, 1, 2):
        moment = MOMENT + timedelta(hours=hours)
        await take_in(INTAKE, events(own(team), 1, started_at=moment, settled_at=moment))

    usage = team.user.get(
        f"/analytics/orgs/{team.id}/usage",
        **{"from": "2026-01-31T13:00:00Z", "to": "2026-01-31T14:00:00Z", "group_by": "day"},
    )

    assert usage["totals"]["requests"] == 1
    assert [item["start"] for item in usage["items"]] == ["2026-01-31T00:00:00Z"]


async def test_usage_can_be_asked_of_one_model_user_or_key(ground: Ground, team: Team) -> None:
    one, two = own(team), own(team)
    two.model_name = "model-b"
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    await take_in(INTAKE, [*events(one, 1, started_at=moment), *events(two, 2, started_at=moment)])

    asked = {"from": "2026-01-31T00:00:00Z", "to": "2026-02-01T00:00:00Z"}
    for only in ({"model": "model-b"}, {"user_id": str(two.user)}, {"key_id": str(two.key)}):
        usage = team.user.get(f"/analytics/orgs/{team.id}/usage", **asked, **only)
        assert usage["totals"]["requests"] == 2


def test_usage_without_a_span_is_this_months(team: Team) -> None:
    usage = team.user.get(f"/analytics/orgs/{team.id}/usage")

    assert usage["start"] == now().strftime("%Y-%m-01T00:00:00Z")
    assert usage["items"] == []
    assert usage["totals"]["requests"] == 0


async def test_a_system_admin_sees_every_organisations_usage_and_others_only_their_own(
    ground: Ground, root: Person, team: Team, org: Org
) -> None:
    await take_in(INTAKE, events(org, 2))
    asked = {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}

    assert root.get(f"/analytics/orgs/{org.id}/usage", **asked)["totals"]["requests"] == 2
    problem(team.admin.api.get(f"/analytics/orgs/{org.id}/usage"), 404)
    problem(root.api.get(f"/analytics/orgs/{uuid4()}/usage"), 404)


@pytest.mark.parametrize(
    "query",
    [
        {"from": "2026-01-01"},
        {"from": "yesterday"},
        {"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "2000-01-01T00:00:00Z"},
        {"group_by": "password"},
        {"user_id": "' OR 1=1"},
        {"from": "2025-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z", "group_by": "hour"},
    ],
)
def test_a_question_that_makes_no_sense_is_refused(team: Team, query: dict[str, str]) -> None:
    problem(team.user.api.get(f"/analytics/orgs/{team.id}/usage", params=query), 400)

"""Who and what makes up usage: parts that add up to the whole, against the time before, and how requests went."""

import csv
import io
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from math import ceil
from uuid import UUID

import msgspec
import pytest

from ias.analytics.doors import INTAKE
from ias.contract.usage import UsageRecorded
from ias.db import uuid7
from ias.intake import take_in
from tests.integration.analytics.test_grouping import SUMS, own, some_events, summed
from tests.integration.billing.doors import problem
from tests.integration.billing.ground import Ground
from tests.integration.billing.test_ledger import events
from tests.product.people import Org as Team
from tests.product.people import Person

pytestmark = pytest.mark.alike

MARCH = {"from": "2026-03-25T00:00:00Z", "to": "2026-04-20T00:00:00Z"}
START, END = datetime(2026, 3, 25, tzinfo=UTC), datetime(2026, 4, 20, tzinfo=UTC)
FIELDS = {"models": ("model", "model"), "users": ("user_id", "user"), "keys": ("key_id", "key")}


def timed(choose: random.Random, event: UsageRecorded) -> UsageRecorded:
    """With times of a stream."""
    first = choose.lognormvariate(5, 1)
    whole = first + choose.lognormvariate(7, 1)
    times = {"first_token_ms": first, "duration_ms": whole, "queue_ms": choose.random() * 20}
    return msgspec.structs.replace(event, streamed=True, **times)


@pytest.fixture
async def used(ground: Ground, team: Team) -> list[UsageRecorded]:
    """What a team used."""
    choose = random.Random(team.id)
    batch = [timed(choose, event) if event.line == 1 else event for event in some_events(team, choose, 400)]
    for start in range(0, len(batch), 90):
        await take_in(INTAKE, batch[start : start + 90])
    return batch


def inside(used: list[UsageRecorded], start: datetime, end: datetime) -> list[UsageRecorded]:
    return [event for event in used if start <= event.started_at < end]


@pytest.mark.parametrize("what", FIELDS)
async def test_parts_are_those_of_the_events_now_and_before(team: Team, used: list[UsageRecorded], what: str) -> None:
    column, field = FIELDS[what]

    found = team.user.get(f"/analytics/orgs/{team.id}/{what}", **MARCH)

    assert found["previous_start"] == "2026-02-27T00:00:00Z"
    now, before = inside(used, START, END), inside(used, START - (END - START), START)
    owners = {str(getattr(event, field)) for event in [*now, *before]}
    assert {item[column] for item in found["items"]} == owners
    for item in found["items"]:
        mine = [event for event in now if str(getattr(event, field)) == item[column]]
        mine_before = summed([event for event in before if str(getattr(event, field)) == item[column]])
        assert {name: item[name] for name in SUMS} == summed(mine)
        assert (item["previous_requests"], item["previous_tokens"]) == (
            mine_before["requests"],
            mine_before["total_tokens"],
        )
        assert item["change_tokens"] == item["total_tokens"] - item["previous_tokens"]
        assert item["share"] == round(item["total_tokens"] / found["totals"]["total_tokens"], 4)
    assert {name: found["totals"][name] for name in SUMS} == summed(now)
    assert found["rest"] is None
    tokens = [item["total_tokens"] for item in found["items"]]
    assert tokens == sorted(tokens, reverse=True)


async def test_what_is_not_shown_is_the_rest_and_the_whole_stays_whole(team: Team, used: list[UsageRecorded]) -> None:
    found = team.user.get(f"/analytics/orgs/{team.id}/users", **MARCH, limit=1)

    for name in (*SUMS, "previous_requests", "previous_tokens", "change_tokens"):
        assert found["items"][0][name] + found["rest"][name] == found["totals"][name]
    assert len(found["items"]) == 1
    assert {name: found["totals"][name] for name in SUMS} == summed(inside(used, START, END))


async def test_top_movers_come_first_up_or_down(team: Team, used: list[UsageRecorded]) -> None:
    found = team.user.get(f"/analytics/orgs/{team.id}/keys", **MARCH, sort="change")

    changes = [abs(item["change_tokens"]) for item in found["items"]]
    assert changes == sorted(changes, reverse=True)
    assert changes[0] > 0


async def test_a_csv_has_all_parts(team: Team, used: list[UsageRecorded]) -> None:
    whole = team.user.get(f"/analytics/orgs/{team.id}/users", **MARCH)
    answer = team.user.api.get(
        f"/analytics/orgs/{team.id}/users", params={**MARCH, "limit": 1}, headers={"accept": "text/csv"}
    )

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["user_id"] for row in rows] == [item["user_id"] for item in whole["items"]]
    assert [int(row["change_tokens"]) for row in rows] == [item["change_tokens"] for item in whole["items"]]


def percentile(values: list[float], share: float) -> float:
    """The nearest rank."""
    return sorted(values)[ceil(share * len(values)) - 1]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
async def test_percentiles_are_five_per_cent_off_those_of_the_events_at_most(
    team: Team, used: list[UsageRecorded], zone: str
) -> None:
    asked = {"from": "2026-03-25T07:00:00Z", "to": "2026-04-20T19:00:00Z", "timezone": zone}
    found = team.user.get(f"/analytics/orgs/{team.id}/models", **asked)

    first = [event for event in inside(used, START + timedelta(hours=7), END + timedelta(hours=19)) if event.line == 1]
    parts = [
        (item["performance"], [event for event in first if event.model == item["model"]]) for item in found["items"]
    ]
    for told, some in [*parts, (found["totals"]["performance"], first)]:
        speeds = [
            (event.completion_tokens - 1) * 1000 / (event.duration_ms - event.first_token_ms)
            for event in some
            if event.completion_tokens > 1
        ]
        measured = {
            "first_token_ms": [event.first_token_ms for event in some],
            "duration_ms": [event.duration_ms for event in some],
            "tokens_per_second": speeds,
        }
        for name, values in measured.items():
            assert told[name]["count"] == len(values)
            for share in (50, 90, 95, 99):
                assert told[name][f"p{share}"] == pytest.approx(percentile(values, share / 100), rel=0.051)
        assert told["outcomes"] == Counter(event.outcome.value for event in some)


async def test_counts_that_grew_long_are_folded_and_nothing_is_lost(ground: Ground, team: Team) -> None:
    moment = datetime(2026, 3, 26, 12, tzinfo=UTC)
    times: list[float] = []
    for number in range(60):
        batch = [
            msgspec.structs.replace(event, duration_ms=2.0 + number * 97 + n * n * 13)
            for n, event in enumerate(events(own(team), 12, model="m", started_at=moment, settled_at=moment))
        ]
        times += [event.duration_ms or 0 for event in batch]
        await take_in(INTAKE, batch)

    found = team.user.get(f"/analytics/orgs/{team.id}/models", **MARCH)

    [length] = await ground.rows(
        "SELECT cardinality(counts) FROM analytics.model_daily WHERE org_id = $1", UUID(team.id)
    )
    assert isinstance(length[0], int)
    assert length[0] <= 384
    told = found["items"][0]["performance"]
    assert told["duration_ms"]["count"] == told["outcomes"]["completed"] == 720
    for share in (50, 90, 95, 99):
        assert told["duration_ms"][f"p{share}"] == pytest.approx(percentile(times, share / 100), rel=0.051)


async def test_the_platform_is_the_sum_of_its_organisations(
    ground: Ground, root: Person, team: Team, used: list[UsageRecorded]
) -> None:
    orgs = root.get("/analytics/system/orgs", **MARCH, limit=200)
    models = root.get("/analytics/system/models", **MARCH, limit=200)

    [mine] = [item for item in orgs["items"] if item["org_id"] == team.id]
    assert {name: mine[name] for name in SUMS} == summed(inside(used, START, END))
    before = summed(inside(used, START - (END - START), START))
    assert mine["previous_tokens"] == before["total_tokens"]
    for name in (*SUMS, "previous_requests", "previous_tokens"):
        assert orgs["totals"][name] == models["totals"][name]
        rest = orgs["rest"][name] if orgs["rest"] else 0
        assert sum(item[name] for item in orgs["items"]) + rest == orgs["totals"][name]
    told = models["totals"]["performance"]
    assert sum(told["outcomes"].values()) == models["totals"]["requests"]
    assert told["duration_ms"]["count"] >= len([event for event in inside(used, START, END) if event.line == 1])


async def test_organisations_are_summed_by_whole_days(root: Person) -> None:
    found = root.get("/analytics/system/orgs", **{"from": "2026-03-25T07:00:00Z", "to": "2026-03-26T01:00:00Z"})

    assert (found["start"], found["end"]) == ("2026-03-25T00:00:00Z", "2026-03-27T00:00:00Z")
    assert found["previous_start"] == "2026-03-23T00:00:00Z"


def test_of_nothing_there_is_nothing_and_no_share(team: Team) -> None:
    found = team.user.get(f"/analytics/orgs/{team.id}/models")

    assert (found["items"], found["rest"], found["totals"]["share"]) == ([], None, None)
    assert found["totals"]["performance"]["duration_ms"]["p50"] is None


@pytest.mark.parametrize("what", FIELDS)
def test_other_organisations_shares_are_not_found(team: Team, root: Person, what: str) -> None:
    other = root.post("/organizations", {"name": f"other-{uuid7().hex}"})["id"]

    problem(team.admin.api.get(f"/analytics/orgs/{other}/{what}"), 404)
    problem(team.admin.api.get(f"/analytics/orgs/{uuid7()}/{what}"), 404)


@pytest.mark.parametrize("path", ["/analytics/system/orgs", "/analytics/system/models"])
def test_the_platforms_shares_are_for_system_admins(team: Team, path: str) -> None:
    problem(team.admin.api.get(path), 403)


@pytest.mark.parametrize("query", [{"sort": "password"}, {"limit": "0"}, {"limit": "201"}, {"timezone": "x"}])
def test_what_makes_no_sense_is_refused(team: Team, query: dict[str, str]) -> None:
    problem(team.user.api.get(f"/analytics/orgs/{team.id}/models", params=query), 400)

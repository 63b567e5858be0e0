"""Usage agrees with the ledger and with the events themselves, however it is grouped and in whatever time zone."""

import csv
import io
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest

from ias.analytics.doors import INTAKE
from ias.billing import doors as billing
from ias.contract.usage import Outcome, UsageRecorded
from ias.db import uuid7
from ias.intake import take_in
from tests.integration.billing.doors import problem
from tests.integration.billing.ground import Ground, Org
from tests.integration.billing.test_ledger import events
from tests.product.people import Org as Team
from tests.product.people import Person

pytestmark = pytest.mark.alike

SUMS = ("requests", "failed", "prompt_tokens", "completion_tokens", "cached_tokens", "total_tokens")
FAILED = {Outcome.UPSTREAM_FAILED, Outcome.UPSTREAM_TIMEOUT, Outcome.GATEWAY_LOST}
GROUPINGS = (
    *(("hour",), ("day",), ("month",), ("model",), ("user",), ("key",)),
    *(("day", "model"), ("month", "user"), ("hour", "key"), ("model", "user"), ("day", "model", "key")),
)
ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Auckland")


def own(team: Team) -> Org:
    """A team's usage, as if its members had called models."""
    return Org(None, UUID(team.id), "", uuid7(), "model-a")


def some_events(team: Team, choose: random.Random, count: int) -> list[UsageRecorded]:
    """Events of eight weeks over a change of clocks, now and then with an adjustment."""
    people = [(uuid7(), uuid7()) for _ in range(4)]
    batch: list[UsageRecorded] = []
    for _ in range(count):
        moment = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(seconds=choose.randrange(56 * 86_400))
        user, key = choose.choice(people)
        [event] = events(
            own(team),
            1,
            user=user,
            key=key,
            model=choose.choice("abc"),
            started_at=moment,
            settled_at=moment,
            period=f"{moment:%Y%m}",
            prompt_tokens=choose.randrange(100, 5000),
            completion_tokens=choose.randrange(900),
            cached_tokens=choose.randrange(100),
            outcome=choose.choice(list(Outcome)),
        )
        batch.append(event)
        if choose.random() < 0.1:
            less = {"prompt_tokens": -7, "completion_tokens": 11, "cached_tokens": -3}
            batch.append(msgspec.structs.replace(event, line=2, **less))
    return batch


def summed(some: Sequence[UsageRecorded]) -> dict[str, int]:
    """What usage must say of these."""
    first = [event for event in some if event.line == 1]
    prompt, completion = sum(event.prompt_tokens for event in some), sum(event.completion_tokens for event in some)
    return {
        "requests": len(first),
        "failed": sum(event.outcome in FAILED for event in first),
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "cached_tokens": sum(event.cached_tokens for event in some),
        "total_tokens": prompt + completion,
    }


def group_of(event: UsageRecorded, by: Sequence[str], zone: str) -> tuple[str, ...]:
    """What an event is grouped under, by Python's calendar."""
    there = event.started_at.astimezone(ZoneInfo(zone)).replace(minute=0, second=0, microsecond=0)
    starts = {"hour": there, "day": there.replace(hour=0, fold=0), "month": there.replace(day=1, hour=0, fold=0)}
    if ZoneInfo(zone).utcoffset(there) is None:
        raise AssertionError(zone)
    owners = {"model": event.model, "user": str(event.user), "key": str(event.key)}
    return tuple(starts[each].isoformat() if each in starts else owners[each] for each in by)


def named(item: dict[str, object], by: Sequence[str]) -> tuple[str, ...]:
    """The same, of an answer's item."""
    columns = {"model": "model", "user": "user_id", "key": "key_id"}
    return tuple(str(item[columns.get(each, "start")]).replace("Z", "+00:00") for each in by)


@pytest.fixture
async def used(ground: Ground, team: Team) -> list[UsageRecorded]:
    """What a team used, in analytics and in the ledger."""
    choose = random.Random(team.id)
    batch = some_events(team, choose, 300)
    choose.shuffle(batch)
    for start in range(0, len(batch), 70):
        await take_in(INTAKE, batch[start : start + 70])
        await take_in(billing.INTAKE, batch[start : start + 70])
    return batch


async def test_items_and_totals_are_the_sums_of_the_events_in_every_grouping_and_time_zone(
    team: Team, used: list[UsageRecorded]
) -> None:
    choose = random.Random(7)
    for by in GROUPINGS:
        for zone in ZONES:
            start = datetime(2026, 3, 1, choose.randrange(24), tzinfo=UTC) + timedelta(days=choose.randrange(20))
            asked = {"from": start.isoformat(), "to": (start + timedelta(days=33)).isoformat(), "timezone": zone}

            usage = team.user.get(f"/analytics/orgs/{team.id}/usage", **asked, group_by=by)

            first, last = datetime.fromisoformat(usage["start"]), datetime.fromisoformat(usage["end"])
            inside = [event for event in used if first <= event.started_at < last]
            groups: dict[tuple[str, ...], list[UsageRecorded]] = {}
            for event in inside:
                groups.setdefault(group_of(event, by, zone), []).append(event)
            answered = {named(item, by): {name: item[name] for name in SUMS} for item in usage["items"]}
            assert answered == {group: summed(some) for group, some in groups.items()}, (by, zone)
            assert usage["totals"] == summed(inside)
            assert len(answered) == len(usage["items"])
            assert usage["timezone"] == zone


async def test_a_months_usage_is_what_the_ledger_says_of_it(team: Team, used: list[UsageRecorded]) -> None:
    for by in ("model", "user", "key"):
        spend = team.user.get(f"/organizations/{team.id}/spend", period="202603", group_by=by)
        asked = {"from": "2026-03-01T00:00:00Z", "to": "2026-04-01T00:00:00Z", "group_by": by}
        usage = team.user.get(f"/analytics/orgs/{team.id}/usage", **asked)

        same = ("requests", "prompt_tokens", "completion_tokens", "cached_tokens", "total_tokens")
        assert {named(item, [by]): [item[name] for name in same] for item in usage["items"]} == {
            named(item, [by]): [item[name] for name in same] for item in spend["items"]
        }
        assert [usage["totals"][name] for name in same] == [spend["totals"][name] for name in same]


async def test_filters_leave_what_they_name(team: Team, used: list[UsageRecorded]) -> None:
    one = used[0]
    asked = {"from": "2026-03-01T00:00:00Z", "to": "2026-05-01T00:00:00Z"}
    for only, field in (("model", "model"), ("user_id", "user"), ("key_id", "key")):
        value = getattr(one, field)
        for zone in ("UTC", "Asia/Kathmandu"):
            usage = team.user.get(
                f"/analytics/orgs/{team.id}/usage", **asked, timezone=zone, group_by="model", **{only: str(value)}
            )
            assert usage["totals"] == summed([event for event in used if getattr(event, field) == value])


async def test_a_csv_has_the_same_rows(team: Team, used: list[UsageRecorded]) -> None:
    asked = {"from": "2026-03-01T00:00:00Z", "to": "2026-05-01T00:00:00Z", "timezone": "Europe/Berlin"}
    by = {"group_by": ["day", "model", "user"]}

    usage = team.user.get(f"/analytics/orgs/{team.id}/usage", **asked, **by)
    answer = team.user.api.get(
        f"/analytics/orgs/{team.id}/usage", params={**asked, **by}, headers={"accept": "text/csv"}
    )

    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert list(rows[0]) == ["start", "model", "user_id", *SUMS]
    assert rows == [{name: str(value) for name, value in item.items()} for item in usage["items"]]


async def test_no_cell_of_a_csv_begins_a_formula(ground: Ground, team: Team) -> None:
    moment = datetime(2026, 1, 15, tzinfo=UTC)
    names = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\tx", 'plain, with a comma and "quotes"\nand a line']
    for name in names:
        await take_in(INTAKE, events(own(team), 1, model=name, started_at=moment, settled_at=moment))

    asked = {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z", "group_by": "model"}
    answer = team.user.api.get(f"/analytics/orgs/{team.id}/usage", params=asked, headers={"accept": "text/csv"})

    found = {row["model"] for row in csv.DictReader(io.StringIO(answer.text, newline=""))}
    assert found == {*(f"'{name}" for name in names[:-1]), names[-1]}


def test_a_csv_of_nothing_has_its_header(team: Team) -> None:
    answer = team.user.api.get(f"/analytics/orgs/{team.id}/usage", headers={"accept": "text/csv"})

    assert answer.text == "start," + ",".join(SUMS) + "\r\n"


def test_a_csv_of_another_organisation_is_not_found(team: Team, root: Person) -> None:
    other = root.post("/organizations", {"name": f"other-{uuid7().hex}"})["id"]

    problem(team.user.api.get(f"/analytics/orgs/{other}/usage", headers={"accept": "text/csv"}), 404)


async def test_the_platforms_usage_is_that_of_all_organisations(
    ground: Ground, root: Person, team: Team, used: list[UsageRecorded]
) -> None:
    whole = await ground.rows(
        """SELECT model, sum(requests)::bigint, sum(prompt_tokens + completion_tokens)::bigint
        FROM analytics.usage_hourly WHERE bucket >= '2026-03-01Z' AND bucket < '2026-04-17Z' GROUP BY model""",
    )
    asked = {"from": "2026-03-01T00:00:00Z", "to": "2026-04-17T00:00:00Z"}
    for by in (["model"], ["model", "day"], ["month", "model"]):
        usage = root.get("/analytics/system/usage", **asked, group_by=by)

        found: dict[str, tuple[int, int]] = {}
        for item in usage["items"]:
            requests, tokens = found.get(item["model"], (0, 0))
            found[item["model"]] = (requests + item["requests"], tokens + item["total_tokens"])
        assert {(model, *sums) for model, sums in found.items()} == set(whole)


@pytest.mark.parametrize(
    "query",
    [
        {"group_by": ["user"]},
        {"group_by": ["key"]},
        {"timezone": "Asia/Kolkata"},
        {"timezone": "Nowhere"},
    ],
)
def test_what_the_platforms_sums_do_not_know_is_refused(root: Person, query: dict[str, object]) -> None:
    problem(root.api.get("/analytics/system/usage", params=query), 400)


@pytest.mark.parametrize("path", ["/analytics/system/usage"])
def test_the_platform_is_for_system_admins(team: Team, path: str) -> None:
    problem(team.admin.api.get(path), 403)
    problem(team.user.api.get(path), 403)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"timezone": "Europe/Atlantis"}, "Europe/Berlin"),
        ({"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "after from"),
        ({"from": "2016-02-01T00:00:00Z"}, "five years"),
        ({"group_by": ["hour", "day"]}, "at most one"),
        ({"group_by": ["model", "user", "key"]}, "at most two"),
        ({"group_by": ["hour"], "from": "2025-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "group by day"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_with_what_to_do(
    team: Team, query: dict[str, object], said: str
) -> None:
    answer = problem(team.user.api.get(f"/analytics/orgs/{team.id}/usage", params=query), 400)

    assert said in str(answer["detail"])

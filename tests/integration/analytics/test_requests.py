"""What is known of requests: listed, narrowed, found by id with their ledger lines, and never what was asked."""

import csv
import io
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import msgspec
import pytest

from ias.analytics.doors import INTAKE
from ias.billing import doors as billing
from ias.contract.usage import Outcome, UsageRecorded
from ias.intake import take_in
from ias.telemetry import now
from tests.integration.analytics.test_grouping import own
from tests.integration.billing.doors import problem
from tests.integration.billing.ground import Ground
from tests.integration.billing.test_ledger import events
from tests.product.people import Org as Team
from tests.product.people import Person

JANUARY = {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"}
MOMENT = datetime(2026, 1, 20, 12, tzinfo=UTC)


def request_of(team: Team, at_s: float = 0, **changes: object) -> UsageRecorded:
    """A streamed request, so many seconds after noon."""
    moment = MOMENT + timedelta(seconds=at_s)
    usual: dict[str, object] = {
        "status": 200,
        "streamed": True,
        "completion_tokens": 21,
        "gateway": "gateway-1",
        "replica": "http://engine",
        "duration_ms": 2250.0,
        "first_token_ms": 250.0,
        "queue_ms": 3.5,
        "started_at": moment,
        "settled_at": moment,
    }
    [event] = events(own(team), 1, **usual | changes)
    return event


async def used(*batch: UsageRecorded) -> None:
    """Take it in, in analytics and in the ledger."""
    await take_in(INTAKE, batch)
    await take_in(billing.INTAKE, batch)


def ids(answer: dict[str, list[dict[str, object]]]) -> list[str]:
    return [str(item["request_id"]) for item in answer["items"]]


async def test_requests_come_newest_first_page_after_page_and_each_once(ground: Ground, team: Team) -> None:
    batch = [request_of(team, at_s=number // 3) for number in range(25)]  # three at the same moment
    await used(*batch)

    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = team.user.get("/analytics/requests", **JANUARY, **cursor, limit=4)
        assert page["data_as_of"]
        found += ids(page)
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    newest = sorted(batch, key=lambda event: (event.started_at, event.request_id), reverse=True)
    assert found == [str(event.request_id) for event in newest]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"model": "model-b"}, {"model"}),
        ({"outcome": "upstream_failed"}, {"failed"}),
        ({"status": "429"}, {"limited"}),
        ({"errors": "true"}, {"failed", "limited", "lost"}),
        ({"slower_than_ms": "9000"}, {"slow"}),
        ({"errors": "true", "status": "429"}, {"limited"}),
        ({"from": "2026-01-20T12:00:30Z"}, {"late"}),
        ({"to": "2026-01-20T11:59:59Z"}, {"early"}),
        ({"model": "%"}, set()),
        ({"model": "' OR 1=1 --"}, set()),
    ],
)
async def test_a_list_is_narrowed_to_what_is_asked_for(
    ground: Ground, team: Team, query: dict[str, str], expected: set[str]
) -> None:
    some = {
        "plain": request_of(team),
        "model": request_of(team, model="model-b"),
        "failed": request_of(team, outcome=Outcome.UPSTREAM_FAILED, status=502),
        "lost": request_of(team, outcome=Outcome.GATEWAY_LOST, status=0),
        "limited": request_of(team, status=429),
        "slow": request_of(team, duration_ms=9000.0),
        "late": request_of(team, at_s=31),
        "early": request_of(team, at_s=-60),
    }
    await used(*some.values())
    by_id = {str(event.request_id): name for name, event in some.items()}

    found = team.user.get("/analytics/requests", **JANUARY | query)

    assert {by_id[each] for each in ids(found)} == expected


async def test_a_list_is_narrowed_to_a_member_or_a_key(ground: Ground, team: Team) -> None:
    one, two = request_of(team), request_of(team)
    await used(one, two)

    for only in ({"user_id": str(one.user)}, {"key_id": str(one.key)}):
        assert ids(team.user.get("/analytics/requests", **JANUARY, **only)) == [str(one.request_id)]


async def test_one_request_has_its_timings_and_is_traced_to_its_ledger_lines(ground: Ground, team: Team) -> None:
    event = request_of(team, cached_tokens=40)
    more = msgspec.structs.replace(event, line=2, prompt_tokens=0, completion_tokens=5, cached_tokens=-1)
    await used(event, more)

    found = team.user.get(f"/analytics/requests/{event.request_id}")

    assert (found["queue_ms"], found["first_token_ms"], found["duration_ms"]) == (3.5, 250.0, 2250.0)
    assert found["tokens_per_second"] == 12.5  # 26 tokens less the first one, in two seconds
    assert (found["outcome"], found["status"], found["streamed"]) == ("completed", 200, True)
    for name in ("prompt_tokens", "completion_tokens", "cached_tokens"):
        assert found[name] == sum(line[name] for line in found["ledger"])
    assert [line["line"] for line in found["ledger"]] == [1, 2]
    assert found["total_tokens"] == 126
    [listed] = team.user.get("/analytics/requests", **JANUARY)["items"]
    assert listed == {name: value for name, value in found.items() if name != "ledger"}


async def test_where_the_engine_is_is_told_to_whoever_runs_the_platform_alone(
    ground: Ground, root: Person, team: Team
) -> None:
    event = request_of(team)
    await used(event)

    for path in (f"/analytics/requests/{event.request_id}", "/analytics/requests"):
        assert "http://engine" not in team.admin.api.get(path, params=JANUARY if path[-1] == "s" else {}).text
        asked = JANUARY | {"org_id": team.id} if path[-1] == "s" else {}
        assert "http://engine" in root.api.get(path, params=asked).text


async def test_nothing_that_was_asked_or_answered_is_ever_told(ground: Ground, team: Team) -> None:
    event = request_of(team)
    await used(event)

    found = team.user.get(f"/analytics/requests/{event.request_id}")

    assert not {"prompt", "messages", "content", "answer", "completion", "body"} & found.keys()
    columns = await ground.rows(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'analytics.usage_events'::regclass AND attnum > 0"
    )
    assert {name for (name,) in columns} >= {"prompt_tokens"}
    assert not {"prompt", "messages", "content", "body"} & {name for (name,) in columns}


async def test_requests_of_others_are_not_there(ground: Ground, root: Person, team: Team) -> None:
    other = await ground.organisation()
    [foreign] = events(other, 1)
    await used(foreign, request_of(team))

    problem(team.admin.api.get(f"/analytics/requests/{foreign.request_id}"), 404)
    problem(team.admin.api.get("/analytics/requests", params={"org_id": str(other.id)}), 404)
    assert str(foreign.request_id) not in ids(team.admin.get("/analytics/requests", **JANUARY))
    assert root.get(f"/analytics/requests/{foreign.request_id}")["org_id"] == str(other.id)
    assert ids(root.get("/analytics/requests", **JANUARY, org_id=str(other.id))) == [str(foreign.request_id)]


async def test_a_csv_has_every_request(ground: Ground, team: Team) -> None:
    batch = [request_of(team, at_s=number) for number in range(60)]
    await used(*batch)

    answer = team.user.api.get("/analytics/requests", params=JANUARY, headers={"accept": "text/csv"})

    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["request_id"] for row in rows] == [str(event.request_id) for event in reversed(batch)]
    assert (rows[0]["total_tokens"], rows[0]["duration_ms"], rows[0]["streamed"]) == ("121", "2250.0", "true")
    assert "replica" not in rows[0]


async def test_where_no_time_is_said_the_last_thirty_days_are_listed(ground: Ground, team: Team) -> None:
    recent = now() - timedelta(days=29)
    old = now() - timedelta(days=31)
    batch = [
        request_of(team, started_at=moment, settled_at=moment, period=f"{moment:%Y%m}") for moment in (recent, old)
    ]
    await take_in(INTAKE, batch)

    assert ids(team.user.get("/analytics/requests")) == [str(batch[0].request_id)]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"from": "2026-02-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "after from"),
        ({"to": "0001-01-01T00:00:00Z"}, "calendar"),
        ({"status": "-1"}, "status"),
        ({"slower_than_ms": "-5"}, "slower_than_ms"),
        ({"slower_than_ms": "nan"}, "slower_than_ms"),
        ({"outcome": "lost"}, "outcome"),
        ({"user_id": "me"}, "user_id"),
        ({"cursor": "AAAA"}, "cursor"),
        ({"cursor": "f" * 32}, "cursor"),
        ({"cursor": "/////////////////////////////////w=="}, "cursor"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1000000000"}, "limit"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_do(team: Team, query: dict[str, str], said: str) -> None:
    assert said in str(problem(team.user.api.get("/analytics/requests", params=query), 400))


def test_an_id_that_no_request_has_is_not_found(team: Team, root: Person) -> None:
    for person in (team.user, root):
        answer = problem(person.api.get(f"/analytics/requests/{uuid4()}"), 404)
        assert "ledger" in str(answer["detail"])

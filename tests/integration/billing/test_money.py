"""What models cost through the API, what lines cost by it, and that every sum is exact to the last digit."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID, uuid4

import asyncpg
import pytest

from ias.billing.catalogue.prices import Rates
from ias.billing.catalogue.rates import HOLD_SHARED, add
from ias.billing.doors import INTAKE, Relay, sweep
from ias.contract import admission
from ias.contract.admission import Admitted
from ias.contract.usage import UsageRecorded
from ias.db import EVERYWHERE, transaction, uuid7
from ias.intake import take_in
from ias.paging import encode_cursor
from tests.integration.billing.doors import model_name, problem
from tests.integration.billing.ground import Ground, Org
from tests.integration.billing.test_ledger import events
from tests.integration.billing.test_relay import until_idle
from tests.product import people
from tests.product.people import Person, new_org

pytestmark = pytest.mark.alike

BACKENDS = [{"url": "http://engine.example:8000"}]
TEN = Rates(Decimal(10), Decimal(10), Decimal(10))


@pytest.fixture
def model(root: Person) -> dict[str, object]:
    """A model that every organisation may call."""
    return root.post("/models", {"name": model_name(), "backends": BACKENDS, "input_rate": "0.5", "output_rate": "1.5"})


def later(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


async def book(org: Org) -> None:
    """Book what an organisation's outbox holds."""

    async def sink(batch: Sequence[UsageRecorded]) -> None:
        await take_in(INTAKE, [event for event in batch if event.organisation == org.id])

    await until_idle(Relay(org.edge, sink, "money", 30))


def test_an_announced_rate_is_in_the_history_and_not_yet_valid(
    root: Person, team: people.Org, model: dict[str, object]
) -> None:
    at, moment = f"/models/{model['id']}", later(30)

    made = root.post(f"{at}/rates", {"input_rate": "0.25", "output_rate": "0.0000000001", "valid_from": moment})

    assert (made["input_rate"], made["output_rate"], made["cached_input_rate"]) == ("0.25", "0.0000000001", "0.25")
    assert made["valid_until"] is None
    assert root.get(at)["input_rate"] == "0.5"
    future, first = team.user.get(f"{at}/rates")["items"]
    assert future == made
    assert datetime.fromisoformat(first["valid_until"]) == datetime.fromisoformat(moment)
    assert (first["input_rate"], first["output_rate"]) == ("0.5", "1.5")


def test_a_rate_that_begins_now_is_valid_at_once_and_until_the_announced_one(
    root: Person, model: dict[str, object]
) -> None:
    at = f"/models/{model['id']}"
    future = root.post(f"{at}/rates", {"input_rate": "3", "output_rate": "3", "valid_from": later(1)})

    made = root.post(f"{at}/rates", {"input_rate": "2", "output_rate": "2", "cached_input_rate": "1"})

    assert made["valid_until"] == future["valid_from"]
    seen = root.get(at)
    assert (seen["input_rate"], seen["cached_input_rate"]) == ("2", "1")
    pages = [root.get(f"{at}/rates", limit="2")]
    pages.append(root.get(f"{at}/rates", limit="2", cursor=pages[0]["next_cursor"]))
    assert [[rate["input_rate"] for rate in page["items"]] for page in pages] == [["3", "2"], ["0.5"]]


def test_the_page_after_a_rate_that_was_withdrawn_has_the_others(root: Person, model: dict[str, object]) -> None:
    at = f"/models/{model['id']}/rates"
    future = root.post(at, {"input_rate": "3", "output_rate": "3", "valid_from": later(1)})
    first = root.get(at, limit="1")
    assert first["items"] == [future]

    root.api.delete(f"{at}/{future['id']}").raise_for_status()

    rest = root.get(at, limit="1", cursor=first["next_cursor"])
    assert ([rate["input_rate"] for rate in rest["items"]], rest["next_cursor"]) == (["0.5"], None)


@pytest.mark.parametrize("cursor", ["x", encode_cursor(UUID(int=2**128 - 1)), encode_cursor(UUID(int=2**60))])
def test_a_cursor_that_no_rate_gave_is_refused(root: Person, model: dict[str, object], cursor: str) -> None:
    problem(root.api.get(f"/models/{model['id']}/rates", params={"cursor": cursor}), 400)


@pytest.mark.parametrize(
    "wrong",
    [
        {"valid_from": "2020-01-01T00:00:00Z"},
        {"valid_from": "2999-01-01T00:00:00"},
        {"valid_from": "soon"},
        {"input_rate": "-1"},
        {"input_rate": "0.00000000001"},
        {"input_rate": "NaN"},
        {"price": "1"},
    ],
)
def test_a_rate_that_begins_in_the_past_or_could_not_be_kept_is_refused(
    root: Person, model: dict[str, object], wrong: dict[str, str]
) -> None:
    at = f"/models/{model['id']}/rates"

    problem(root.api.post(at, json={"input_rate": "1", "output_rate": "1"} | wrong), 400)

    assert len(root.get(at)["items"]) == 1


def test_two_rates_cannot_begin_at_the_same_moment(root: Person, model: dict[str, object]) -> None:
    at, new = f"/models/{model['id']}/rates", {"input_rate": "1", "output_rate": "1", "valid_from": later(1)}
    root.post(at, new)

    problem(root.api.post(at, json=new), 409)


async def test_a_rate_is_withdrawn_until_it_begins_and_both_are_audited(
    ground: Ground, root: Person, model: dict[str, object]
) -> None:
    at = f"/models/{model['id']}/rates"
    [begun] = root.get(at)["items"]
    future = root.post(at, {"input_rate": "1", "output_rate": "1", "valid_from": later(1)})

    problem(root.api.delete(f"{at}/{begun['id']}"), 409)
    problem(root.api.delete(f"{at}/{uuid4()}"), 404)
    assert root.api.delete(f"{at}/{future['id']}").status_code == 204

    assert root.get(at)["items"] == [begun]
    log = await ground.rows(
        "SELECT action FROM identity.audit_log WHERE target_id::text = $1 ORDER BY id", str(model["id"])
    )
    assert log == [("model.registered",), ("rate.announced",), ("rate.withdrawn",)]


def test_rates_are_set_by_those_who_may_write_models_and_seen_by_those_who_see_the_model(
    root: Person, team: people.Org, model: dict[str, object]
) -> None:
    at = f"/models/{model['id']}/rates"

    problem(team.admin.api.post(at, json={"input_rate": "1", "output_rate": "1"}), 403)
    problem(team.admin.api.delete(f"{at}/{uuid4()}"), 403)
    root.api.put(f"/organizations/{team.id}/allowed-models", json={"models": []}).raise_for_status()
    problem(team.admin.api.get(at), 404)
    problem(root.api.get(f"/models/{uuid4()}/rates"), 404)


async def test_the_application_can_neither_write_the_past_nor_take_it_back(ground: Ground, org: Org) -> None:
    insert = """INSERT INTO billing.rates (id, model_id, valid_from, input, output, cached_input)
    VALUES ($1, $2, now() - interval '1 second', 1, 1, 1)"""
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="row-level security"):
        async with transaction(EVERYWHERE) as connection:
            await connection.execute(insert, uuid7(), org.model)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with transaction(EVERYWHERE) as connection:
            await connection.execute("UPDATE billing.rates SET input = 0")
    async with transaction(EVERYWHERE) as connection:
        assert await connection.execute("DELETE FROM billing.rates WHERE model_id = $1", org.model) == "DELETE 0"


async def test_a_rate_that_changes_before_a_request_ends_does_not_change_its_cost(ground: Ground, org: Org) -> None:
    before, admitted = await org.reserve()
    assert isinstance(admitted, Admitted)
    async with transaction(EVERYWHERE) as connection:
        await add(connection, org.model, TEN)
    after, second = await org.reserve()
    assert isinstance(second, Admitted)

    await org.settle(before, (100, 10, 60), admitted)
    await org.settle(after, (100, 10, 60), second)
    await book(org)

    costs = dict(await ground.rows("SELECT request_id::text, cost FROM billing.ledger_lines WHERE org_id = $1", org.id))
    assert costs == {before: Decimal("0.041"), after: Decimal("1.1")}


async def test_an_adjustment_costs_by_the_rate_of_its_first_line_whatever_came_between(
    ground: Ground, org: Org
) -> None:
    request_id, admitted = await org.reserve(lease_s=0)
    assert isinstance(admitted, Admitted)
    await org.edge.call(admission.tick(org.tag, 0, [request_id, 100, 10, 60]))
    await sweep(org.edge)
    async with transaction(EVERYWHERE) as connection:
        await add(connection, org.model, TEN)

    await org.settle(request_id, (100, 6, 60), admitted)
    await book(org)

    lines = await ground.rows(
        "SELECT line, cost, rate_id FROM billing.ledger_lines WHERE request_id::text = $1 ORDER BY line", request_id
    )
    assert [(line, cost) for line, cost, _ in lines] == [(1, Decimal("0.041")), (2, Decimal("-0.006"))]
    assert lines[0][2] == lines[1][2] is not None


WAITING = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND wait_event = 'advisory'"""


async def test_no_line_is_priced_while_a_rate_is_being_added_nor_the_other_way_round(ground: Ground, org: Org) -> None:
    async def announce() -> None:
        async with transaction(EVERYWHERE) as connection:
            await add(connection, org.model, TEN)

    pricing = await asyncpg.connect(ground.database_url)
    try:
        async with pricing.transaction():
            await pricing.execute(HOLD_SHARED)
            adding = asyncio.create_task(announce())
            while not await ground.value(WAITING):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            priced_until = await pricing.fetchval("SELECT clock_timestamp()")
        await adding
    finally:
        await pricing.close()

    began = await ground.value("SELECT max(valid_from) FROM billing.rates WHERE model_id = $1", org.model)
    assert began > priced_until


async def priced_model(ground: Ground, rates: Sequence[Decimal]) -> UUID:
    """A model that was always priced by these: input, output, cached input."""
    model = uuid7()
    await ground.owner.execute(
        """INSERT INTO billing.models (id, name, upstream_name, context_length, max_output_tokens)
        VALUES ($1, $2, $2, 8192, 1024)""",
        *(model, f"exact-{model}"),
    )
    await ground.owner.execute(
        """INSERT INTO billing.rates (model_id, valid_from, input, output, cached_input)
        VALUES ($1, '2025-01-01', $2, $3, $4)""",
        *(model, *rates),
    )
    return model


def tokens_of(dice: random.Random) -> dict[str, int]:
    """Of one request."""
    prompt = dice.randrange(1, 10**6)
    return {
        "prompt_tokens": prompt,
        "cached_tokens": dice.randrange(prompt),
        "completion_tokens": dice.randrange(10**6),
    }


def cost(tokens: dict[str, int], rates: Sequence[Fraction]) -> Fraction:
    """By hand."""
    fresh, cached = tokens["prompt_tokens"] - tokens["cached_tokens"], tokens["cached_tokens"]
    return (fresh * rates[0] + tokens["completion_tokens"] * rates[1] + cached * rates[2]) / 1000


async def test_lines_sums_and_the_api_agree_to_the_last_digit(ground: Ground, root: Person, team: people.Org) -> None:
    dice, org = random.Random(4), await ground.organisation()
    org.id, expected = UUID(team.id), dict[str, Fraction]()
    users, batch = [uuid7() for _ in range(3)], list[UsageRecorded]()
    for _ in range(5):
        rates = [Decimal(dice.randrange(10**16)).scaleb(-10) for _ in range(3)]
        model = await priced_model(ground, rates)
        for _ in range(40):
            tokens = tokens_of(dice)
            batch += events(org, 1, model=f"exact-{model}", model_id=model, user=dice.choice(users), **tokens)
            expected[str(batch[-1].request_id)] = cost(tokens, [*map(Fraction, rates)])
    await take_in(INTAKE, batch)
    whole = sum(expected.values())

    lines = team.admin.get("/ledger/lines", limit="200")["items"]

    assert {line["request_id"]: Fraction(line["cost"]) for line in lines} == expected
    for line in lines:
        rates_told = [Fraction(line["rate"][name]) for name in ("input_rate", "output_rate", "cached_input_rate")]
        assert cost(line, rates_told) == Fraction(line["cost"])
    for by, groups in (("model", 5), ("user", 3), ("key", 1)):
        told = root.get(f"/organizations/{team.id}/spend", period="202601", group_by=by)
        assert len(told["items"]) == groups
        assert sum(Fraction(item["cost"]) for item in told["items"]) == Fraction(told["totals"]["cost"]) == whole
        assert told["totals"]["requests"] == 200
    booked = await ground.value("SELECT sum(cost) FROM billing.ledger_lines WHERE org_id = $1", org.id)
    assert isinstance(booked, Decimal)
    assert Fraction(booked) == whole


def test_a_month_without_spend_is_nothing_and_another_organisations_is_not_there(
    root: Person, team: people.Org
) -> None:
    at = f"/organizations/{team.id}/spend"

    empty = team.user.get(at)

    assert (empty["items"], empty["totals"]["cost"], empty["totals"]["total_tokens"]) == ([], "0", 0)
    problem(team.user.api.get(at, params={"period": "2026"}), 400)
    problem(team.user.api.get(at, params={"group_by": "hour"}), 400)
    problem(new_org(root, f"other-{uuid4().hex}").admin.api.get(at), 404)

"""The Function library in its corners: limits of nothing, large sections, repeated and late settlements."""

import asyncio
import time

import msgspec
import pytest

from ias.contract import admission, catalogue
from ias.contract.admission import Admitted
from ias.edge import Edge
from tests.integration.contract.ground import ORG, ROUTE, USER, Org


@pytest.mark.parametrize("floor", [-1, 0, 1])
async def test_a_budget_that_is_used_up_grants_no_output_of_nothing(org: Org, floor: int) -> None:
    await org.policy(tokens=100, floor=floor)
    assert isinstance(await org.reserve(prompt=100), admission.OverBudget)
    assert isinstance(await org.reserve(prompt=101, n=5), admission.OverBudget)
    assert (await org.held(prompt=99))[1].output == 1
    assert await org.budget() == (0, 100)


@pytest.mark.parametrize("limit", ["rps", "urps"])
async def test_a_rate_of_zero_lets_nothing_in(org: Org, limit: str) -> None:
    await org.policy(**{limit: 0})
    refused = await org.reserve()
    assert isinstance(refused, admission.OverRate)
    assert refused.wait_ms > 0


@pytest.mark.parametrize("limit", ["tpm", "utpm"])
async def test_no_tokens_a_minute_let_nothing_in(org: Org, limit: str) -> None:
    await org.policy(**{limit: 0})
    assert await org.reserve() == admission.TooLarge(0, 100)


@pytest.mark.parametrize("limit", ["conc", "uconc", "tokens", "udef"])
async def test_no_place_and_no_budget_let_nothing_in(org: Org, limit: str) -> None:
    await org.policy(**{limit: 0})
    assert isinstance(await org.reserve(), admission.OverRate | admission.OverBudget)


async def test_a_refused_request_takes_nothing_from_any_limit(org: Org) -> None:
    await org.policy(rps=1, burst=1, tpm=6000, tokens=120)
    assert isinstance(await org.reserve(prompt=5000), admission.OverBudget)
    request_id, admitted = await org.held(prompt=100, output=20)
    assert (admitted.requests.remaining, admitted.tokens.remaining) == (0, 6000 - 120)
    assert isinstance(await org.reserve(prompt=1, output=1), admission.OverBudget)
    await org.settle(request_id, admitted, 100, 20)
    assert await org.budget() == (120, 0)


async def test_the_first_limit_that_is_passed_speaks(org: Org) -> None:
    await org.policy(conc=0, tokens=0, rps=0, tpm=0)
    refused = await org.reserve()
    assert isinstance(refused, admission.OverRate)
    assert refused.kind == "concurrency"
    await org.project("org", {"id": ORG, "st": "suspended"})
    assert await org.reserve(model="unknown") == admission.Suspended("organisation")
    await org.edge.revoke(org.tag, org.record, 9)
    assert await org.reserve() == admission.BadKey()


async def test_a_key_is_good_until_its_end(org: Org) -> None:
    org.record = msgspec.structs.replace(org.record, expires_at=int(time.time()) + 60)
    await org.edge.grant(org.tag, org.record, 2)
    assert isinstance(await org.reserve(), Admitted)


async def test_a_section_may_have_more_fields_than_lua_unpacks(org: Org) -> None:
    await org.policy(udef=0, **{f"u:user-{number}": 1 for number in range(12_000)}, **{f"u:{USER}": 150})
    assert isinstance(await org.reserve(), Admitted)
    await org.policy(udef=0)
    assert isinstance(await org.reserve(), admission.OverBudget)


async def test_a_settlement_that_is_repeated_names_the_entry_that_is_there(org: Org) -> None:
    request_id, admitted = await org.held()
    call = (*admission.settle(org.tag, request_id, (1, 2, 0), ("completed", False), b"{}"),)
    call = (*call, *admission.holder_of(admitted, "gw"))
    first, again = await org.edge.call(call), await org.edge.call(call)
    assert (first[0], again[0]) == (b"ok", b"already")
    assert admission.entry_of(first) == admission.entry_of(again) != ""


async def test_a_settlement_of_less_gives_back_what_was_too_much(org: Org) -> None:
    request_id, admitted = await org.held()
    await org.settle(request_id, admitted, 10, 9)
    await org.settle(request_id, admitted, 10, 4)
    assert [(line["l"], line["pt"], line["ct"]) for line in await org.outbox()] == [("1", "10", "9"), ("2", "0", "-5")]
    assert await org.budget() == (14, 0)
    assert await org.settle(request_id, admitted, 10, 4) == b"already"


async def test_a_sweeper_never_undoes_what_a_gateway_settled(org: Org) -> None:
    request_id, admitted = await org.held(lease=-1)
    await org.settle(request_id, admitted, 10, 9)
    assert await org.edge.call(admission.sweep(org.tag, 10)) == 0
    assert len(await org.outbox()) == 1


async def test_a_tick_keeps_a_request_from_the_sweeper(org: Org) -> None:
    request_id, _ = await org.held(lease=-1)
    await org.edge.call(admission.tick(org.tag, 30, [request_id, 1, 1, 0]))
    assert await org.edge.call(admission.sweep(org.tag, 10)) == 0


async def test_a_sweep_settles_as_many_as_it_is_told(org: Org) -> None:
    for _ in range(5):
        await org.held(lease=-1)
    assert [await org.edge.call(admission.sweep(org.tag, 2)) for _ in range(4)] == [2, 2, 1, 0]
    assert await org.budget() == (0, 0)


async def test_a_suspended_users_open_request_is_to_be_cut(org: Org) -> None:
    request_id, _ = await org.held()
    await org.project("org", {"id": ORG, "st": "active", f"x:{USER}": 1})
    answer = await org.edge.call(admission.tick(org.tag, 30, [request_id, 1, 1, 0]))
    assert admission.read_tick(answer).marks == ((request_id, "suspended"),)


async def test_a_settlement_charges_the_month_of_its_reservation(org: Org) -> None:
    admitted = (await org.held())[1]
    admitted.period = "202001"
    await org.settle("lost", admitted, 3, 4)
    assert (await org.outbox())[-1]["p"] == "202001"
    assert await org.edge.redis.hget(f"{{o:{org.tag}}}:bud:202001", "used") == b"7"


async def test_a_tombstone_ends_after_two_days_and_a_reservation_never(org: Org) -> None:
    request_id, admitted = await org.held()
    key = f"{{o:{org.tag}}}:r:{request_id}"
    assert await org.edge.redis.ttl(key) == -1
    await org.settle(request_id, admitted, 1, 1)
    assert 172_000 < await org.edge.redis.ttl(key) <= 172_800


async def test_a_model_that_is_taken_away_is_gone_for_the_next_request(org: Org) -> None:
    await org.project("routes", {})
    assert await org.reserve() == admission.UnknownModel(())
    other = msgspec.structs.replace(ROUTE, context_length=50, max_output_tokens=500)
    await org.project("routes", {"llama": catalogue.encode_route(other)})
    assert (await org.held(prompt=1, output=admission.NOT_ASKED))[1].output == 49


async def test_racing_settlements_and_sweeps_charge_once(url: str, org: Org) -> None:
    held = [await org.held(lease=-1) for _ in range(30)]
    other = Edge(url)
    settled = [org.settle(request_id, admitted, 10, 5) for request_id, admitted in held]
    sweeps = [other.call(admission.sweep(org.tag, 3)) for _ in range(10)]
    await asyncio.gather(*(one for pair in zip(settled, sweeps * 3, strict=False) for one in pair[:1]), *sweeps)
    await other.close()
    lines = await org.outbox()
    assert sum(line["l"] == "1" for line in lines) == 30
    assert sum(int(line["pt"]) + int(line["ct"]) for line in lines) == 450
    assert await org.budget() == (450, 0)

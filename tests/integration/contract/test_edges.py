"""The Function library at its edges: the largest numbers, limits that move under what is live, many users, races."""

import asyncio
from datetime import UTC, datetime

import pytest

from ias.contract import admission, catalogue
from ias.contract.admission import Admitted, Ask, OverBudget, OverRate
from tests.integration.contract.driven import Table
from tests.integration.contract.ground import FREE, KEY, ORG, ROUTE, USER, Org
from tests.services import Service

MOST = 2**53 - 1
MANY = 10_000


async def used_so_far(org: Org, tokens: int) -> None:
    """Say that so much of this month is used."""
    period = f"{datetime.now(UTC):%Y%m}"
    assert await org.edge.call(admission.restore(org.tag, period, 0, tokens, {f"u:{USER}": tokens})) == 1


@pytest.mark.parametrize("used", [10**9, 10**12, 10**15, 10**15 + 1, MOST - 1000])
async def test_sums_are_exact_up_to_the_largest_budget(org: Org, used: int) -> None:
    await used_so_far(org, used)
    await org.policy(tokens=used + 400, udef=MOST)
    first, second = await org.held(), await org.held()
    refused = await org.reserve(output=16)
    assert isinstance(refused, OverBudget)
    assert (refused.used, refused.held, refused.limit) == (used, 300, used + 400)
    assert await org.budget() == (used, 300)
    await org.settle(*first, 7, 0)
    await org.settle(*second, 0, 0)
    assert await org.budget() == (used + 7, 0)
    assert await org.edge.call(("FCALL", "ias_recount", 1, admission.slot(org.tag))) == []


async def test_the_last_token_of_the_largest_budget_can_be_used(org: Org) -> None:
    await used_so_far(org, MOST - 150)
    await org.policy(tokens=MOST, udef=MOST)
    one = await org.held()
    assert isinstance(await org.reserve(prompt=1, output=1), OverBudget)
    await org.settle(*one, 100, 50)
    assert await org.budget() == (MOST, 0)
    assert isinstance(await org.reserve(prompt=0, output=1), OverBudget)


async def test_a_wish_for_more_than_any_engine_writes_holds_no_more_than_its_context(org: Org) -> None:
    _, admitted = await org.held(output=2**31 - 1, n=128)
    assert admitted.held == 100 + 128 * ROUTE.context_length


@pytest.mark.parametrize(
    ("n", "left", "granted"), [(2, 132, 16), (3, 148, 16), (3, 150, 16), (3, 151, 17), (3, 249, 49)]
)
async def test_several_answers_share_what_is_left_and_none_gets_less_than_the_floor(
    org: Org, n: int, left: int, granted: int
) -> None:
    await org.policy(tokens=left)
    _, admitted = await org.held(n=n)
    assert (admitted.output, admitted.held) == (granted, 100 + n * granted)
    other = await Org(org.edge).whole(tokens=100 + n * 16 - 1)
    assert isinstance(await other.reserve(n=n), OverBudget)


async def test_who_has_no_budget_of_their_own_is_not_held_to_that_of_others(org: Org) -> None:
    await org.policy(udef=0, **{f"u:{USER}": -1})
    assert isinstance(await org.reserve(), Admitted)
    await org.policy(udef=0, **{"u:somebody": -1})
    assert isinstance(await org.reserve(), OverBudget)


async def test_a_limit_that_is_lowered_under_what_is_live_lets_it_end_and_nothing_new_in(org: Org) -> None:
    held = [await org.held() for _ in range(4)]
    await org.policy(conc=2, tokens=500)
    for request_id, admitted in held[:2]:
        refused = await org.reserve()
        assert isinstance(refused, OverRate)
        assert (refused.kind, refused.limit) == ("concurrency", 2)
        assert (await told(org))["concurrency"].used > 1
        await org.settle(request_id, admitted, 100, 50)
    await org.settle(*held[2], 100, 50)
    refused = await org.reserve()
    assert isinstance(refused, OverBudget)
    assert (refused.limit, refused.used, refused.held) == (500, 450, 150)
    assert (await told(org))["budget"].used == 450
    await org.settle(*held[3], 0, 0)
    assert (await org.held(prompt=20, output=30))[1].held == 50


async def told(org: Org, scope: str = "organisation") -> dict[str, admission.Standing]:
    """The organisation's limits, or the user's."""
    answer = admission.read_limits(await org.edge.call(admission.limits(org.tag, org.record.fingerprint)))
    assert isinstance(answer, tuple)
    return {standing.kind: standing for standing in answer[2] if standing.scope == scope}


def test_a_key_is_good_up_to_its_last_microsecond(server: Service) -> None:
    table = Table(server.url)
    org = "Ab3dEf9h"
    route = {"llama": catalogue.encode_route(ROUTE)}
    for section, fields in (("org", {"id": ORG, "st": "active"}), ("pol", FREE), ("routes", route)):
        table.call(admission.project(org, section, 1, fields))
    table.call(admission.grant(org, "f" * 64, 1, (KEY, USER), table.second + 10))
    table.call(admission.complete(org))
    ask = Ask("llama", 1, 1, 1, "/v1/completions", streamed=False)

    def asked(name: str) -> object:
        return admission.read_reserve(table.call(admission.reserve(org, "f" * 64, name, ask, ("gw", 30))))

    table.advance(10_000_000 - table.us % 1_000_000 - 1)
    assert isinstance(asked("r1"), Admitted)
    table.advance(1)
    assert asked("r2") == admission.BadKey()
    table.close()


async def test_ten_thousand_users_are_counted_each(org: Org) -> None:
    users = [f"0192d0c0-0000-7000-8001-{number:012}" for number in range(MANY)]
    limits = {f"u:{user}": 200 for user in users}
    await org.policy(udef=0, uconc=1, utpm=200, urps=1, **limits)
    keys = {user: f"{number:064}" for number, user in enumerate(users)}
    await org.edge.calls([admission.grant(org.tag, keys[user], 1, (KEY, user), None) for user in users])
    ask = Ask("llama", 100, 1, 50, "/v1/completions", streamed=False)
    asked = [admission.reserve(org.tag, keys[user], f"m{user}", ask, ("gw", 300)) for user in users]
    answers = [admission.read_reserve(answer) for answer in await org.edge.calls(asked)]
    assert all(isinstance(answer, Admitted) for answer in answers)
    assert await org.budget() == (0, 150 * MANY)
    one = admission.reserve(org.tag, keys[users[-1]], "again", ask, ("gw", 300))
    assert isinstance(admission.read_reserve(await org.edge.call(one)), OverRate)
    ends = [
        (*admission.settle(org.tag, f"m{user}", (60, 5, 0), ("completed", False), b"{}"), user, answer.period, "gw")
        for user, answer in zip(users, answers, strict=True)
        if isinstance(answer, Admitted)
    ]
    await org.edge.calls(ends)
    assert await org.budget() == (65 * MANY, 0)
    assert [int(part) for part in (await org.edge.standing(org.tag, users[17]))[4:6]] == [65, 0]


async def test_who_asks_again_while_it_is_settled_neither_holds_nor_pays_twice(org: Org) -> None:
    for _ in range(6):
        held = [await org.held() for _ in range(5)]
        calls = [(org.settle(*one, 10, 5), org.reserve(one[0]), org.settle(*one, 10, 5)) for one in held]
        answers = await asyncio.gather(*(call for each in calls for call in each))
        assert all(isinstance(answer, (bytes, Admitted)) or answer == admission.Duplicate() for answer in answers)
    assert await org.budget() == (450, 0)
    assert [line["l"] for line in await org.outbox()] == ["1"] * 30
    assert await org.edge.call(("FCALL", "ias_recount", 1, admission.slot(org.tag))) == []


async def test_while_keys_are_told_again_after_a_loss_open_requests_are_not_cut(org: Org) -> None:
    """The projection comes back key by key; none that is not there yet was revoked."""
    request_id, _ = await org.held()
    tick = admission.tick(org.tag, 30, [request_id, 1, 1, 0])
    await org.edge.redis.delete(f"{admission.slot(org.tag)}:k:{org.record.fingerprint}")
    assert admission.read_tick(await org.edge.call(tick)).marks == ((request_id, "revoked"),)
    await org.edge.redis.hdel(f"{admission.slot(org.tag)}:v", "complete")
    assert admission.read_tick(await org.edge.call(tick)).marks == ()
    await org.edge.revoke(org.tag, org.record, 2)
    assert admission.read_tick(await org.edge.call(tick)).marks == ((request_id, "revoked"),)

"""The Function library on a real Redis: what is admitted, held, settled, swept and projected."""

import asyncio
import time
from datetime import UTC, datetime

import msgspec
import pytest

from ias.contract import admission, catalogue
from ias.contract.admission import Admitted, Refused
from ias.contract.usage import decode_facts
from ias.edge import Edge, KeyRecord
from tests.integration.contract.ground import FREE, KEY, ORG, ROUTE, USER, Org


async def test_an_admission_carries_what_the_gateway_needs(org: Org) -> None:
    admitted = await org.reserve()
    assert isinstance(admitted, Admitted)
    assert (admitted.org, admitted.user, admitted.key, admitted.output) == (ORG, USER, KEY, 50)
    assert catalogue.decode_route(admitted.route) == ROUTE
    assert admitted.period == f"{datetime.now(UTC):%Y%m}"
    assert await org.budget() == (0, 150)


async def test_an_unknown_revoked_or_expired_key_is_a_bad_key(org: Org) -> None:
    await org.edge.revoke(org.tag, org.record, 2)
    assert await org.reserve() == admission.BadKey()
    await org.edge.grant(org.tag, msgspec.structs.replace(org.record, expires_at=1), 3)
    assert await org.reserve() == admission.BadKey()
    org.record = KeyRecord("f" * 64, KEY, USER)
    assert await org.reserve() == admission.BadKey()


async def test_an_older_grant_never_wins_over_a_newer_revoke(org: Org) -> None:
    await org.edge.revoke(org.tag, org.record, 9)
    await org.edge.grant(org.tag, org.record, 8)
    assert await org.reserve() == admission.BadKey()


async def test_an_older_section_never_overwrites_a_newer_one(org: Org) -> None:
    await org.edge.project(org.tag, "pol", 1, {**FREE, "tokens": 1})
    assert isinstance(await org.reserve(), Admitted)


async def test_before_the_projection_is_whole_nothing_is_a_bad_key(edge: Edge) -> None:
    org = Org(edge)
    assert await org.reserve() == admission.NotReady(unknown_org=True)
    await org.project("org", {"id": ORG, "st": "active"})
    assert await org.reserve() == admission.NotReady(unknown_org=False)
    await org.edge.grant(org.tag, org.record, 1)
    assert await org.reserve() == admission.NotReady(unknown_org=False)


async def test_a_missing_policy_is_never_no_limit(edge: Edge) -> None:
    org = Org(edge)
    await org.project("org", {"id": ORG, "st": "active"})
    await org.project("routes", {"llama": catalogue.encode_route(ROUTE)})
    await org.edge.grant(org.tag, org.record, 1)
    await org.edge.complete(org.tag)
    assert await org.reserve() == admission.NotReady(unknown_org=False)


async def test_a_suspended_user_or_organisation_is_told_which(org: Org) -> None:
    await org.project("org", {"id": ORG, "st": "active", f"x:{USER}": 1})
    assert await org.reserve() == admission.Suspended("user")
    await org.project("org", {"id": ORG, "st": "suspended"})
    assert await org.reserve() == admission.Suspended("organisation")


async def test_an_unknown_model_comes_with_those_that_may_be_used(org: Org) -> None:
    assert await org.reserve(model="gpt") == admission.UnknownModel(("llama",))


async def test_the_same_gateway_gets_the_same_answer_and_holds_once(org: Org) -> None:
    first = await org.reserve("same")
    again = await org.reserve("same")
    assert isinstance(first, Admitted)
    assert isinstance(again, Admitted)
    assert (again.output, again.period, again.held) == (first.output, first.period, first.held)
    assert await org.budget() == (0, 150)
    assert await org.reserve("same", gw="another") == admission.Duplicate()


async def test_settling_releases_the_hold_and_charges_what_was_used(org: Org) -> None:
    request_id, admitted = await org.held()
    assert await org.settle(request_id, admitted, 10, 5) == b"ok"
    assert await org.budget() == (15, 0)
    assert [(line["l"], line["pt"], line["ct"], line["o"]) for line in await org.outbox()] == [
        ("1", "10", "5", "completed")
    ]


async def test_the_first_settlement_wins_and_a_later_truth_is_an_adjustment(org: Org) -> None:
    request_id, admitted = await org.held()
    await org.settle(request_id, admitted, 10, 5)
    assert await org.settle(request_id, admitted, 10, 5) == b"already"
    assert await org.settle(request_id, admitted, 10, 9) == b"ok"
    assert await org.budget() == (19, 0)
    assert [(line["l"], line["pt"], line["ct"]) for line in await org.outbox()] == [("1", "10", "5"), ("2", "0", "4")]


async def test_a_request_that_redis_lost_is_accounted_all_the_same(org: Org) -> None:
    _, admitted = await org.held()
    assert await org.settle("unheard-of", admitted, 3, 4) == b"ok"
    assert (await org.budget())[0] == 7


async def test_a_lapsed_lease_is_settled_from_the_last_checkpoint_as_a_lower_bound(org: Org) -> None:
    request_id, _ = await org.held(lease=-1, streamed=True)
    await org.edge.call(admission.tick(org.tag, -1, [request_id, 7, 3, 0]))
    assert await org.edge.call(admission.sweep(org.tag, 10)) == 1
    assert await org.edge.call(admission.sweep(org.tag, 10)) == 0
    (line,) = await org.outbox()
    assert (line["pt"], line["ct"], line["o"], line["b"]) == ("7", "3", "gateway_lost", "1")
    facts = decode_facts(line["f"].encode())
    assert (facts.organisation, facts.user, facts.key, facts.model, facts.streamed) == (ORG, USER, KEY, "llama", True)
    assert await org.budget() == (10, 0)


async def test_a_gateway_that_was_swept_too_early_adjusts_the_line(org: Org) -> None:
    request_id, admitted = await org.held(lease=-1)
    await org.edge.call(admission.sweep(org.tag, 10))
    answer = await org.edge.call(admission.tick(org.tag, 30, [request_id, 9, 9, 0]))
    assert admission.read_tick(answer).marks == ((request_id, "swept"),)
    await org.settle(request_id, admitted, 9, 9)
    assert [line["ct"] for line in await org.outbox()] == ["0", "9"]


async def test_a_tick_says_what_must_be_cut(org: Org) -> None:
    request_id, _ = await org.held()
    await org.edge.revoke(org.tag, org.record, 2)
    answer = await org.edge.call(admission.tick(org.tag, 30, [request_id, 1, 1, 0, "unheard-of", 1, 1, 0]))
    assert admission.read_tick(answer).marks == ((request_id, "revoked"), ("unheard-of", "unknown"))


async def test_a_tick_names_the_first_entry_that_the_outbox_still_has(org: Org) -> None:
    assert (await org.edge.call(admission.tick(org.tag, 30, [])))[1] == b"lost"
    request_id, admitted = await org.held()
    await org.settle(request_id, admitted, 1, 1)
    (entry,) = await org.edge.redis.xrange(admission.outbox(org.tag))
    assert (await org.edge.call(admission.tick(org.tag, 30, [])))[1] == entry[0]


@pytest.mark.parametrize(("limits", "scope"), [({"tokens": 1000}, "organisation"), ({"udef": 1000}, "user")])
async def test_a_budget_is_used_up_but_never_passed(org: Org, limits: dict[str, int], scope: str) -> None:
    await org.policy(**limits)
    await org.held(output=700)
    _, clamped = await org.held(output=700)
    assert clamped.output == 100
    refused = await org.reserve()
    assert isinstance(refused, admission.OverBudget)
    assert (refused.scope, refused.limit, refused.used, refused.held) == (scope, 1000, 0, 1000)


async def test_a_users_own_budget_goes_over_the_usual_one(org: Org) -> None:
    await org.policy(udef=10, **{f"u:{USER}": 500})
    assert isinstance(await org.reserve(), Admitted)


async def test_near_the_end_the_output_is_clamped_to_the_floor_and_not_further(org: Org) -> None:
    await org.policy(tokens=116)
    assert (await org.held())[1].output == 16
    other = await Org(org.edge).whole(tokens=115)
    assert isinstance(await other.reserve(), admission.OverBudget)


async def test_without_an_output_limit_the_models_or_the_policys_cap_is_granted(org: Org) -> None:
    assert (await org.held(output=admission.NOT_ASKED))[1].output == ROUTE.max_output_tokens
    await org.policy(cap=20)
    assert (await org.held(output=admission.NOT_ASKED))[1].output == 20


async def test_embeddings_hold_their_prompt_only(org: Org) -> None:
    assert (await org.held(output=admission.NO_OUTPUT))[1].held == 100


async def test_requests_per_second_are_a_bucket_with_a_burst(org: Org) -> None:
    await org.policy(rps=1, burst=3)
    began = time.monotonic()
    left = [(await org.held())[1].requests.remaining for _ in range(3)]
    assert left == [2, 1, 0] or time.monotonic() - began >= 1, "one comes back in a second"
    refused = await org.reserve()
    while isinstance(refused, Admitted):
        refused = await org.reserve()
    assert isinstance(refused, admission.OverRate)
    assert (refused.kind, refused.scope, refused.limit) == ("requests", "organisation", 1)
    assert 0 < refused.wait_ms <= 1000


async def test_the_wait_that_is_told_suffices(org: Org) -> None:
    await org.policy(urps=20, uburst=1)
    refused = await org.reserve()
    while isinstance(refused, Admitted):  # a machine that stalls for a twentieth of a second lets one more in
        refused = await org.reserve()
    assert isinstance(refused, admission.OverRate)
    assert refused.scope == "user"
    await asyncio.sleep(refused.wait_ms / 1000)
    assert isinstance(await org.reserve(), Admitted)


async def test_tokens_per_minute_are_held_and_what_was_not_used_comes_back(org: Org) -> None:
    await org.policy(tpm=200)
    request_id, admitted = await org.held()
    refused = await org.reserve()
    assert isinstance(refused, admission.OverRate)
    assert refused.kind == "tokens"
    await org.settle(request_id, admitted, 10, 10)
    assert isinstance(await org.reserve(), Admitted)


async def test_a_request_larger_than_a_minutes_tokens_is_cut_or_refused(org: Org) -> None:
    await org.policy(tpm=120)
    assert (await org.held())[1].output == 20
    other = await Org(org.edge).whole(tpm=90)
    assert await other.reserve() == admission.TooLarge(90, 100)


@pytest.mark.parametrize(("limits", "scope"), [({"conc": 2}, "organisation"), ({"uconc": 2}, "user")])
async def test_concurrency_counts_what_is_under_way(org: Org, limits: dict[str, int], scope: str) -> None:
    await org.policy(**limits)
    request_id, admitted = await org.held()
    await org.held()
    refused = await org.reserve()
    assert isinstance(refused, admission.OverRate)
    assert (refused.kind, refused.scope) == ("concurrency", scope)
    await org.settle(request_id, admitted, 1, 1)
    assert isinstance(await org.reserve(), Admitted)


async def test_two_hundred_at_once_with_room_for_fifty_admit_exactly_fifty(url: str, org: Org) -> None:
    await org.policy(tokens=50 * 150, floor=50)
    other = Edge(url)
    twin = Org(other)
    twin.tag, twin.record = org.tag, org.record
    places = asyncio.Semaphore(40)  # the pools' connections, of both clients

    async def reserve(place: int) -> Admitted | Refused:
        async with places:
            return await (org if place % 2 else twin).reserve(gw=f"gw{place % 2}")

    answers = await asyncio.gather(*map(reserve, range(200)))
    await other.close()
    assert sum(isinstance(answer, Admitted) for answer in answers) == 50
    assert await org.budget() == (0, 50 * 150)


async def test_the_ledgers_sums_are_put_under_a_month_once(org: Org) -> None:
    fresh = Org(org.edge)
    period = f"{datetime.now(UTC):%Y%m}"
    assert await fresh.edge.call(admission.restore(fresh.tag, period, 0, 30, {f"u:{USER}": 30})) == 1
    assert await fresh.edge.call(admission.restore(fresh.tag, period, 30, 30, {f"u:{USER}": 30})) == 0
    await fresh.whole()
    assert await fresh.budget() == (30, 0)
    await org.held()
    assert await org.edge.call(admission.restore(org.tag, period, 0, 30, {f"u:{USER}": 30})) == 0
    assert (await org.budget())[0] == 0


async def test_the_models_of_a_key_are_told_under_the_same_checks(org: Org) -> None:
    answer = await org.edge.call(admission.models(org.tag, org.record.fingerprint))
    assert answer[2] == [catalogue.encode_route(ROUTE)]
    await org.project("org", {"id": ORG, "st": "suspended"})
    refused = await org.edge.call(admission.models(org.tag, org.record.fingerprint))
    assert admission.read_refusal(refused) == admission.Suspended("organisation")


async def test_the_month_is_right_on_every_day_of_four_centuries(edge: Edge) -> None:
    """The library's own calendar, run apart from its clock."""
    body = admission.LIBRARY[admission.LIBRARY.index("local today") : admission.LIBRARY.index("-- What was read")]
    script = f"{body} local out = {{}} for i = 1, #ARGV do out[i] = period_of(tonumber(ARGV[i])) end return out"
    days = [*range(0, 400 * 366, 37), 19_782, 19_783, 11_016, 11_017, 47_541, 47_542]
    seconds = [day * 86_400 + offset for day in days for offset in (0, 86_399)]
    for start in range(0, len(seconds), 5_000):
        some = seconds[start : start + 5_000]
        told = await edge.redis.eval(script, 0, *some)
        assert [text.decode() for text in told] == [f"{datetime.fromtimestamp(second, UTC):%Y%m}" for second in some]


async def test_a_gateway_of_the_release_before_is_served_while_others_are_of_this_one(org: Org) -> None:
    asked = (org.record.fingerprint, "old", "llama", 100, 1, 50, 30, "gw", "/v1/chat/completions", 0, 0)
    command = ("FCALL", "ias_reserve", 1, admission.slot(org.tag))
    old = admission.read_reserve(await org.edge.call((*command, *asked)))
    new = await org.reserve("new")
    assert old == new
    assert isinstance(old, Admitted)
    assert await org.budget() == (0, 300)
    settle = ("FCALL", "ias_settle", 1, admission.slot(org.tag), "old", 7, 3, 2, "completed", 0, b'{"old":1}')
    holder = admission.holder_of(old, "gw")
    assert (await org.edge.call((*settle, *holder)))[0] == b"ok"
    assert (await org.edge.call((*settle, *holder)))[0] == b"already", "such as from its spool file"
    assert await org.settle("new", old, 7, 3, 2) == b"ok"
    assert await org.budget() == (20, 0)
    first, second = await org.outbox()
    told = ("l", "p", "pt", "ct", "ca", "o", "e", "b")
    assert [first[name] for name in told] == [second[name] for name in told]
    assert (first["r"], first["f"]) == ("old", '{"old":1}')


async def test_what_the_release_before_settles_of_a_request_that_redis_lost_is_accounted(org: Org) -> None:
    settle = ("FCALL", "ias_settle", 1, admission.slot(org.tag), "lost", 7, 3, 0, "completed", 1, b"{}")
    period = f"{datetime.now(UTC):%Y%m}"
    assert (await org.edge.call((*settle, USER, period, "gw")))[0] == b"ok"
    assert await org.budget() == (10, 0)
    assert [(entry["p"], entry["e"]) for entry in await org.outbox()] == [(period, "1")]

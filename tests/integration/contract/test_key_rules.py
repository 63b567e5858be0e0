"""What a key may do, on a real Redis: which models, and how many tokens a month."""

import asyncio
from datetime import UTC, datetime

import msgspec
import pytest

from ias.contract import admission, books, catalogue, key_records, keys
from ias.contract.admission import Admitted, OverBudget, UnknownModel
from ias.contract.key_records import Begun, Rules
from ias.edge import Edge, KeyRecord
from tests.integration.contract.driven import Table, driven
from tests.integration.contract.ground import FREE, KEY, ORG, ROUTE, USER, Org
from tests.services import Service

OTHER = "0192d0c0-0000-7000-8000-000000000004"
FACTS = msgspec.json.encode({"user": USER, "key": KEY})


async def ruled(org: Org, version: int = 2, **rules: object) -> Org:
    """The organisation's key, with rules."""
    org.record = msgspec.structs.replace(org.record, rules=Rules(**rules))
    await org.edge.grant(org.tag, org.record, version)
    return org


async def of_key(org: Org, kid: str = KEY) -> tuple[int, int]:
    """What the key has used and holds this month."""
    month = f"{admission.slot(org.tag)}:bud:{datetime.now(UTC):%Y%m}"
    used, held = await org.edge.redis.hmget(month, f"k:{kid}", f"h:{kid}")
    return int(used or 0), int(held or 0)


async def routes(org: Org, *names: str) -> None:
    encoded = {name: catalogue.encode_route(msgspec.structs.replace(ROUTE, name=name)) for name in names}
    await org.project("routes", encoded)


async def settled(org: Org, request_id: str, admitted: Admitted, *tokens: int) -> bytes:
    """As a gateway does, which says whose request it was."""
    call = admission.settle(org.tag, request_id, (*tokens, 0), ("completed", False), FACTS)
    return (await org.edge.call((*call, *admission.holder_of(admitted, "gw"))))[0]


async def test_a_key_calls_only_its_models_and_is_told_of_no_others(org: Org) -> None:
    await routes(org, "llama", "qwen", "phi")
    await ruled(org, models=("qwen", "phi", "gone"))

    assert await org.reserve(model="llama") == UnknownModel(("phi", "qwen"))
    assert await org.reserve(model="nothing") == UnknownModel(("phi", "qwen"))
    assert isinstance(await org.reserve(model="qwen"), Admitted)
    _, _, told = await org.edge.call(admission.models(org.tag, org.record.fingerprint))
    assert sorted(catalogue.decode_route(route).name for route in told) == ["phi", "qwen"]


async def test_a_key_without_any_model_calls_none(org: Org) -> None:
    await ruled(org, models=())

    assert await org.reserve() == UnknownModel(())
    assert (await org.edge.call(admission.models(org.tag, org.record.fingerprint)))[2] == []


async def test_a_model_that_the_organisation_lost_is_not_the_keys_either(org: Org) -> None:
    await ruled(org, models=("llama",))
    await routes(org, "qwen")

    assert await org.reserve() == UnknownModel(())


async def test_a_cap_holds_clamps_and_then_refuses_naming_the_key(org: Org) -> None:
    await ruled(org, monthly_tokens=200)

    first, admitted = await org.held(prompt=100, output=50)
    assert await of_key(org) == (0, 150)
    clamped = await org.reserve(prompt=30, output=50)
    assert isinstance(clamped, Admitted)
    assert clamped.output == 20
    refused = await org.reserve(prompt=1, output=1)
    assert isinstance(refused, OverBudget)
    assert (refused.scope, refused.limit, refused.used, refused.held) == ("key", 200, 0, 200)

    await settled(org, first, admitted, 90, 10)
    assert await of_key(org) == (100, 50)
    assert isinstance(await org.reserve(prompt=10, output=40), Admitted)


async def test_a_refusal_by_a_cap_is_no_end_of_anybodys_budget(org: Org) -> None:
    await ruled(org, monthly_tokens=10)
    assert isinstance(await org.reserve(), OverBudget)

    month = f"{admission.slot(org.tag)}:bud:{datetime.now(UTC):%Y%m}"
    assert await org.edge.redis.hexists(month, "ends") == 0


async def test_the_narrowest_of_three_budgets_decides(org: Org) -> None:
    await org.policy(tokens=1000, udef=500)
    await ruled(org, monthly_tokens=400)
    assert (await org.reserve(prompt=1000)).scope == "key"
    await ruled(org, 3, monthly_tokens=600)
    assert (await org.reserve(prompt=1000)).scope == "user"
    await org.policy(tokens=300, udef=500)
    assert (await org.reserve(prompt=1000)).scope == "organisation"


async def test_limits_tell_of_a_cap_and_say_nothing_where_there_is_none(org: Org) -> None:
    await ruled(org, monthly_tokens=1000)
    await org.held(prompt=100, output=50)
    _, _, standings = admission.read_limits(await org.edge.call(admission.limits(org.tag, org.record.fingerprint)))
    assert [(each.limit, each.used, each.held) for each in standings if each.scope == "key"] == [(1000, 0, 150)]

    await ruled(org, 3, models=("llama",))
    _, _, standings = admission.read_limits(await org.edge.call(admission.limits(org.tag, org.record.fingerprint)))
    assert [each for each in standings if each.scope == "key"] == []


@pytest.mark.parametrize("room", [1, 7, 40])
async def test_gateways_that_share_a_capped_key_admit_exactly_what_fits(org: Org, url: str, room: int) -> None:
    await ruled(org, monthly_tokens=room * 150 + 149 - 16)
    ask = admission.Ask("llama", 100, 1, 50, "chat", streamed=False)

    async def gateway(name: str) -> list[Admitted | admission.Refused]:
        """Its requests one after the other, on a connection of its own."""
        edge, told = Edge(url), []
        for number in range(room + 10):
            call = admission.reserve(org.tag, org.record.fingerprint, f"{name}-{number}", ask, (name, 30))
            told.append(admission.read_reserve(await edge.call(call)))
        await edge.close()
        return told

    every = await asyncio.gather(*(gateway(f"gw-{number}") for number in range(4)))
    answers = [answer for told in every for answer in told]

    whole = [answer for answer in answers if isinstance(answer, Admitted) and answer.output == 50]
    assert len(whole) == room
    assert sum(answer.held for answer in answers if isinstance(answer, Admitted)) <= room * 150 + 133
    assert (await of_key(org))[1] == sum(answer.held for answer in answers if isinstance(answer, Admitted))


async def test_an_older_grant_neither_lifts_a_rule_nor_brings_one_back(org: Org) -> None:
    await ruled(org, 9, monthly_tokens=10)
    await org.edge.grant(org.tag, msgspec.structs.replace(org.record, rules=Rules()), 8)
    assert isinstance(await org.reserve(), OverBudget)
    await org.edge.grant(org.tag, msgspec.structs.replace(org.record, rules=Rules()), 10)
    await org.edge.grant(org.tag, org.record, 9)
    assert isinstance(await org.reserve(), Admitted)


async def test_a_revoked_key_with_rules_is_a_bad_key_and_its_streams_are_cut(org: Org) -> None:
    await ruled(org, monthly_tokens=1000, models=("llama",))
    request_id, admitted = await org.held()
    assert admission.read_tick(await org.edge.call(admission.tick(org.tag, 30, [request_id, 1, 1, 0]))).marks == ()
    await org.edge.revoke(org.tag, org.record, 3)

    assert await org.reserve() == admission.BadKey()
    marks = admission.read_tick(await org.edge.call(admission.tick(org.tag, 30, [request_id, 1, 1, 0]))).marks
    assert marks == ((request_id, "revoked"),)
    await settled(org, request_id, admitted, 5, 5)
    assert await of_key(org) == (10, 0)


async def test_what_a_sweeper_settles_and_the_gateway_corrects_counts_for_the_key(org: Org) -> None:
    await ruled(org, monthly_tokens=1000)
    request_id, admitted = await org.held(lease=-1)
    await org.edge.call(admission.tick(org.tag, -1, [request_id, 20, 5, 0]))
    assert await org.edge.call(admission.sweep(org.tag, 10)) == 1
    assert await of_key(org) == (25, 0)

    await settled(org, request_id, admitted, 30, 15)
    assert await of_key(org) == (45, 0)
    await settled(org, request_id, admitted, 30, 15)
    assert await of_key(org) == (45, 0)


async def test_what_is_held_of_keys_is_recounted_from_the_reservations(org: Org) -> None:
    await ruled(org, monthly_tokens=1000)
    await org.held(prompt=100, output=50)
    month = f"{admission.slot(org.tag)}:bud:{datetime.now(UTC):%Y%m}"
    await org.edge.redis.hset(month, f"h:{KEY}", 999)
    await org.edge.redis.hset(month, f"h:{OTHER}", 7)

    found = books.read_recount(await org.edge.call(books.recount(org.tag)))

    assert {(one.field, one.was, one.now) for one in found} == {(f"h:{KEY}", 999, 150), (f"h:{OTHER}", 7, 0)}
    assert await of_key(org) == (0, 150)


async def begun(org: Org, *of: tuple[str, str]) -> Begun | None:
    return key_records.read_count(await org.edge.call(key_records.count(org.tag, of)))


async def test_counting_begins_with_what_is_under_way_and_binds_nobody_yet(org: Org) -> None:
    before, admitted = await org.held(prompt=100, output=50)
    done, other = await org.held(prompt=10, output=10)
    await settled(org, done, other, 10, 5)
    assert await of_key(org) == (0, 0)

    told = await begun(org, (org.record.fingerprint, KEY))

    assert told is not None
    assert (told.period, told.counted) == (admitted.period, (0,))
    [(last, _)] = await org.edge.redis.xrevrange(admission.outbox(org.tag), count=1)
    assert told.last == last
    assert await of_key(org) == (0, 150)
    after, later = await org.held(prompt=1000, output=50)
    assert await of_key(org) == (0, 1200)
    await settled(org, before, admitted, 40, 2)
    await settled(org, after, later, 100, 1)
    assert await of_key(org) == (143, 0)
    assert (await begun(org, (org.record.fingerprint, KEY))).counted == (143,)


async def test_counting_leaves_a_cap_and_a_revoked_key_as_they_are(org: Org) -> None:
    await ruled(org, monthly_tokens=10)
    await begun(org, (org.record.fingerprint, KEY))
    assert isinstance(await org.reserve(), OverBudget)
    await org.edge.revoke(org.tag, org.record, 3)
    await begun(org, (org.record.fingerprint, KEY), ("0" * 64, OTHER))
    assert await org.reserve() == admission.BadKey()
    assert await org.edge.redis.exists(f"{admission.slot(org.tag)}:k:{'0' * 64}") == 0


async def test_where_a_month_is_yet_to_be_restored_nothing_is_counted_before(org: Org) -> None:
    await org.edge.redis.hdel(f"{admission.slot(org.tag)}:v", "complete")

    assert await begun(org, (org.record.fingerprint, KEY)) is None
    assert await org.edge.redis.hget(f"{admission.slot(org.tag)}:k:{org.record.fingerprint}", "st") == b"active"
    assert await org.edge.redis.exists(f"{admission.slot(org.tag)}:bud:{datetime.now(UTC):%Y%m}") == 0


async def test_a_lost_month_comes_back_with_what_keys_used_and_hold(edge: Edge) -> None:
    org = await Org(edge).whole()
    await ruled(org, monthly_tokens=1000)
    request_id, admitted = await org.held(prompt=100, output=50)
    slot = admission.slot(org.tag)
    await edge.redis.delete(f"{slot}:bud:{admitted.period}", f"{slot}:r:{request_id}", f"{slot}:resv", f"{slot}:g")

    record = (150, admitted.period, USER, 50, 1, 1, 0, KEY, org.record.fingerprint, "llama", ORG, "chat", 0, 1)
    assert await edge.call(admission.reassert(org.tag, request_id, record, ("gw", 30))) == 1
    assert await of_key(org) == (0, 0)
    parts = {f"u:{USER}": 300, f"k:{KEY}": 300, f"k:{OTHER}": 0}
    assert await edge.call(admission.restore(org.tag, admitted.period, 0, 300, parts)) == 1

    assert await of_key(org) == (300, 150)
    assert await of_key(org, OTHER) == (0, 0)
    await settled(org, request_id, admitted, 60, 40)
    assert await of_key(org) == (400, 0)
    late, other = await org.held(prompt=1, output=1)
    await edge.redis.delete(f"{slot}:r:{late}")
    await edge.call(admission.reassert(org.tag, late, (2, *record[1:]), ("gw", 30)))
    await settled(org, late, other, 1, 1)
    assert (await of_key(org))[0] == 402


async def test_rules_reach_redis_with_many_keys_at_once(org: Org) -> None:
    one, two, three = (keys.fingerprint(f"{number}") for number in range(3))
    rows = [(one, "ruled", "kid", USER, ""), (two, "active", "kid", USER, ""), (three, "ruled", "kid", USER, "")]
    told = {one: Rules(models=("llama",), monthly_tokens=5), three: Rules(models=())}
    assert await org.edge.call(key_records.grants(org.tag, 7, rows, told)) == 3
    assert await org.edge.call(key_records.grants(org.tag, 6, [(one, "active", "kid", USER, "")])) == 0

    for fingerprint, kind in ((one, OverBudget), (two, Admitted), (three, UnknownModel)):
        org.record = KeyRecord(fingerprint, KEY, USER)
        assert isinstance(await org.reserve(), kind)


def test_a_cap_begins_anew_with_the_month_and_what_began_before_counts_where_it_began(server: Service) -> None:
    table = Table(server.url, driven())
    tag, fingerprint = keys.new_tag(), "f" * 64
    for section, fields in (
        ("org", {"id": ORG, "st": "active"}),
        ("pol", FREE),
        ("routes", {"llama": catalogue.encode_route(ROUTE)}),
    ):
        table.call(admission.project(tag, section, 1, fields))
    table.call((*admission.grant(tag, fingerprint, 1, (KEY, USER), None), *Rules(monthly_tokens=200).fields()))
    table.call(admission.complete(tag))
    ask = admission.Ask("llama", 150, 1, 50, "chat", streamed=False)

    def reserve(name: str) -> object:
        return admission.read_reserve(table.call(admission.reserve(tag, fingerprint, name, ask, ("gw", 10**7))))

    old = reserve("old")
    assert isinstance(old, Admitted)
    assert isinstance(reserve("too much"), OverBudget)
    table.advance(3 * 86_400 * 1_000_000)
    new = reserve("new")
    assert isinstance(new, Admitted)
    assert new.period != old.period
    refused = reserve("too much again")
    assert isinstance(refused, OverBudget)
    assert (refused.scope, refused.period) == ("key", new.period)
    settle = admission.settle(tag, "old", (100, 50, 0), ("completed", False), FACTS)
    table.call((*settle, *admission.holder_of(old, "gw")))

    def month(period: str) -> list[bytes | None]:
        return table.redis.hmget(f"{admission.slot(tag)}:bud:{period}", f"k:{KEY}", f"h:{KEY}")

    assert (month(old.period), month(new.period)) == ([b"150", b"0"], [b"0", b"200"])
    table.close()


async def test_a_key_without_rules_costs_redis_what_it_did(org: Org) -> None:
    plain = f"{admission.slot(org.tag)}:k:{org.record.fingerprint}"
    assert await org.edge.redis.hlen(plain) == 5
    await org.held()
    month = f"{admission.slot(org.tag)}:bud:{datetime.now(UTC):%Y%m}"
    assert {field[:2] for field in await org.edge.redis.hkeys(month)} == {b"re", b"r:", b"ba"}

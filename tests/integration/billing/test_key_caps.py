"""Rules of a key from the API to Redis and back from the ledger: caps are exact, whenever they are set."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from ias.analytics import doors as analytics
from ias.billing.check.queries import drifts
from ias.billing.doors import INTAKE, JANITOR, Other, check, clear, count_keys, pay_debts, rebuild, settled
from ias.billing.ledger.clock import tags
from ias.billing.ledger.domain import event_of
from ias.billing.projection import REASSERT_S
from ias.billing.spend.queries import key_use
from ias.contract import admission, keys
from ias.contract.admission import Admitted, Ask, OverBudget, UnknownModel
from ias.contract.key_records import Rules
from ias.contract.usage import Facts, encode_facts
from ias.db import sole, uuid7
from ias.edge import Edge, KeyRecord
from ias.identity import Tenant, next_version
from ias.identity.projection import project_key
from ias.intake import take_in
from tests.integration.billing.doors import model_name, problem
from tests.integration.billing.ground import Ground, opened
from tests.product.people import Org, Person
from tests.services import Services

pytestmark = pytest.mark.alike

OTHER = Other(analytics.seen, analytics.totals)
_HELD_UP = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'
"""
BACKENDS = [{"url": "http://engine.example:8000"}]


class KeyUser:
    """A key, as gateways serve it; each request settles as `use` says."""

    def __init__(self, edge: Edge, org: Tenant, key: dict[str, Any], model: tuple[str, UUID]) -> None:
        self.edge, self.org, self.key, self.model = edge, org, key, model
        self.fingerprint = keys.fingerprint(key["token"])

    async def ask(self, output: int = 90, prompt: int = 10) -> tuple[str, Admitted | admission.Refused]:
        request_id, ask = str(uuid7()), Ask(self.model[0], prompt, 1, output, "chat", False)
        call = admission.reserve(self.org.tag, self.fingerprint, request_id, ask, ("gateway-1", 300))
        return request_id, admission.read_reserve(await self.edge.call(call))

    async def settle(self, request_id: str, admitted: Admitted, tokens: int) -> None:
        facts = Facts(
            organisation=str(self.org.id),
            user=self.key["user_id"],
            key=self.key["id"],
            model=self.model[0],
            model_id=str(self.model[1]),
            endpoint="chat",
            started_at=time.time(),
        )
        ending = ("completed", False)
        call = admission.settle(self.org.tag, request_id, (tokens, 0, 0), ending, encode_facts(facts))
        await self.edge.call((*call, *admission.holder_of(admitted, "gateway-1")))

    async def use(self, tokens: int) -> None:
        request_id, admitted = await self.ask()
        assert isinstance(admitted, Admitted), admitted
        await self.settle(request_id, admitted, tokens)

    async def book(self) -> None:
        """What is in the outbox, into the ledger; it stays in the outbox."""
        entries = await self.edge.redis.xrange(admission.outbox(self.org.tag))
        await take_in(INTAKE, [event_of(fields, int(entry.split(b"-")[0])) for entry, fields in entries])

    async def month(self) -> str:
        period = admission.text((await self.edge.standing(self.org.tag, ""))[0])
        return f"{admission.slot(self.org.tag)}:bud:{period}"

    async def counted(self) -> tuple[int | None, int | None]:
        """What Redis counts of the key: used and held; None where it does not."""
        found = await self.edge.redis.hmget(await self.month(), f"k:{self.key['id']}", f"h:{self.key['id']}")
        return tuple(None if one is None else int(one) for one in found)


async def key_user(ground: Ground, root: Person, team: Org, **rules: object) -> KeyUser:
    name = model_name()
    made = root.post("/models", {"name": name, "backends": BACKENDS})
    key = team.user.post("/api-keys", {"label": "x", **rules})
    return KeyUser(ground.edge, Tenant(UUID(team.id), team.tag), key, (name, UUID(made["id"])))


@pytest.fixture
async def mine(ground: Ground, root: Person, team: Org) -> KeyUser:
    return await key_user(ground, root, team)


def change(by: Person, user: KeyUser, **rules: object) -> dict[str, Any]:
    answer = by.api.patch(f"/api-keys/{user.key['id']}", json=rules)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_key_is_issued_with_rules_that_bind_it_at_once(ground: Ground, root: Person, team: Org) -> None:
    other = model_name()
    root.post("/models", {"name": other, "backends": BACKENDS})
    user = await key_user(ground, root, team, models=[other], monthly_tokens=100)

    assert (user.key["models"], user.key["monthly_tokens"]) == ([other], 100)
    assert (await user.ask())[1] == UnknownModel((other,))
    user.model = (other, user.model[1])
    assert isinstance((await user.ask())[1], Admitted)
    refused = (await user.ask())[1]
    assert isinstance(refused, OverBudget)
    assert refused.scope == "key"


async def test_a_cap_on_a_key_in_use_counts_what_it_used_since_the_month_began(team: Org, mine: KeyUser) -> None:
    await mine.use(20)
    await mine.book()
    await mine.use(7)
    request_id, under_way = await mine.ask()
    assert await mine.counted() == (None, None)

    shown = change(team.user, mine, monthly_tokens=200)

    assert shown["monthly_tokens"] == 200
    assert await mine.counted() == (27, 100)
    refused = (await mine.ask(prompt=100))[1]
    assert isinstance(refused, OverBudget)
    assert (refused.scope, refused.limit, refused.used, refused.held) == ("key", 200, 27, 100)
    assert isinstance(under_way, Admitted)
    await mine.settle(request_id, under_way, 3)
    assert await mine.counted() == (30, 0)


async def test_a_cap_that_was_taken_off_counts_all_of_the_month_when_it_is_back(team: Org, mine: KeyUser) -> None:
    change(team.user, mine, monthly_tokens=1000)
    await mine.use(5)
    change(team.user, mine, monthly_tokens=None)
    await mine.use(6)
    await mine.book()
    assert await mine.counted() == (5, 0)

    change(team.user, mine, monthly_tokens=12)

    assert await mine.counted() == (11, 0)
    assert isinstance((await mine.ask(output=2, prompt=0))[1], OverBudget)


async def traffic(user: KeyUser, over: asyncio.Event) -> None:
    """Requests of 30 tokens that use 7, until one is refused by the cap that is meant to stay."""
    while not over.is_set():
        request_id, answer = await user.ask(output=30, prompt=0)
        if isinstance(answer, Admitted):
            await asyncio.sleep(0.002)
            await user.settle(request_id, answer, 7)
        elif isinstance(answer, OverBudget) and answer.held == 0:
            over.set()


async def books(user: KeyUser, over: asyncio.Event) -> None:
    """Booking and deleting, as workers do."""
    while not over.is_set():
        await user.book()
        async with sole(JANITOR) as got:
            if got:
                await clear(user.edge, [settled])


async def test_a_cap_is_exact_however_busy_the_key_is_while_it_is_set(team: Org, mine: KeyUser) -> None:
    """Requests, booking and deleting go on all the while."""
    over = asyncio.Event()
    tasks = [asyncio.create_task(job(mine, over)) for job in (traffic, traffic, traffic, books)]
    await asyncio.sleep(0.5)
    for again in (1_000_000, None, 1_000_000, None, 1_000_000):
        await asyncio.to_thread(change, team.user, mine, monthly_tokens=again)
    cap = (await mine.counted())[0] + 1_000
    await asyncio.to_thread(change, team.user, mine, monthly_tokens=cap)
    used, held = await mine.counted()
    async with asyncio.timeout(60):
        await asyncio.gather(*tasks)
    await mine.book()

    spent = (await key_use([UUID(mine.key["id"])]))[UUID(mine.key["id"])][1]
    assert await mine.counted() == (spent, 0)
    # Where the machine was slow to set it, what was under way by then may still be used.
    assert cap - 16 < spent <= max(cap, used + held)


async def test_ones_own_limits_tell_of_the_keys_that_have_a_cap(team: Org, mine: KeyUser) -> None:
    team.user.issue_key()
    assert team.user.get("/me/limits")["keys"] == []
    change(team.user, mine, monthly_tokens=500)
    await mine.use(7)
    await mine.ask()

    [told] = team.user.get("/me/limits")["keys"]
    tokens = {"monthly_tokens": 500, "used_tokens": 7, "held_tokens": 100}
    assert told == {"key_id": mine.key["id"], "label": "x", **tokens}
    assert team.admin.get("/me/limits")["keys"] == []
    team.user.api.delete(f"/api-keys/{mine.key['id']}")
    assert team.user.get("/me/limits")["keys"] == []


async def test_a_successor_has_the_rules_and_its_cap_begins_anew(team: Org, mine: KeyUser) -> None:
    change(team.user, mine, monthly_tokens=100, models=[mine.model[0]])
    await mine.use(80)

    new = team.user.post(f"/api-keys/{mine.key['id']}/rotate", {"grace_s": 60})

    assert (new["models"], new["monthly_tokens"], new["last_used_at"]) == ([mine.model[0]], 100, None)
    heir = KeyUser(mine.edge, mine.org, new, mine.model)
    assert isinstance((await heir.ask())[1], Admitted)
    assert isinstance((await heir.ask())[1], OverBudget)
    assert isinstance((await mine.ask(prompt=0))[1], Admitted), "clamped to what is left of the old one's"
    assert (await mine.counted(), await heir.counted()) == ((80, 20), (0, 100))


@pytest.fixture
async def commits_held_up(ground: Ground) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Whoever issues a key waits when it commits, all else being done, until this is called."""
    await ground.owner.execute(
        """CREATE FUNCTION identity.held_up() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER held_up AFTER INSERT ON identity.api_keys DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION identity.held_up();
        SELECT pg_advisory_lock(4711)"""
    )

    async def go_on() -> None:
        await ground.owner.execute("SELECT pg_advisory_unlock_all()")

    yield go_on
    await go_on()
    await ground.owner.execute("DROP TRIGGER held_up ON identity.api_keys; DROP FUNCTION identity.held_up()")


@pytest.mark.parametrize("grace_s", [0, 60])
async def test_who_read_a_key_before_its_rotation_does_not_revive_it(
    ground: Ground, team: Org, mine: KeyUser, commits_held_up: Callable[[], Awaitable[None]], grace_s: int
) -> None:
    path, record = f"/api-keys/{mine.key['id']}/rotate", f"{admission.slot(mine.org.tag)}:k:{mine.fingerprint}"
    rotating = asyncio.create_task(asyncio.to_thread(team.user.post, path, {"grace_s": grace_s}))
    deadline = time.monotonic() + 60
    while not await ground.value(_HELD_UP):
        assert time.monotonic() < deadline, "nobody waits"
    await project_key(mine.org, UUID(mine.key["id"]), mine.edge)
    assert await mine.edge.redis.hmget(record, "st", "exp") == [b"active", b""]

    await commits_held_up()
    await rotating

    state, end = await mine.edge.redis.hmget(record, "st", "exp")
    assert (state, end == b"") == ((b"active", False) if grace_s else (b"revoked", True))


async def test_owner_and_admin_change_a_key_and_nobody_else(root: Person, team: Org, mine: KeyUser) -> None:
    path = f"/api-keys/{mine.key['id']}"
    change(team.admin, mine, monthly_tokens=5)
    change(team.user, mine, monthly_tokens=6)
    change(root, mine, models=[mine.model[0]])
    theirs = team.admin.issue_key()
    problem(team.user.api.patch(f"/api-keys/{theirs['id']}", json={"monthly_tokens": 5}), 404)

    [*entries] = team.admin.get("/audit-logs", action="key.changed")["items"]
    assert [(entry["before"], entry["after"]) for entry in entries] == [
        ({"models": None}, {"models": [mine.model[0]]}),
        ({"monthly_tokens": 5}, {"monthly_tokens": 6}),
        ({"monthly_tokens": None}, {"monthly_tokens": 5}),
    ]
    team.user.api.delete(path)
    problem(team.user.api.patch(path, json={"monthly_tokens": 5}), 409)


async def test_models_that_the_organisation_may_not_call_are_refused_by_name(team: Org, mine: KeyUser) -> None:
    path, known = f"/api-keys/{mine.key['id']}", mine.model[0]
    told = problem(team.user.api.patch(path, json={"models": [known, "nothing"]}), 400)
    assert [fault["pointer"] for fault in told["errors"]] == ["/models/1"]
    problem(team.user.api.post("/api-keys", json={"label": "x", "models": ["nothing"]}), 400)
    for body in ({"monthly_tokens": -1}, {"monthly_tokens": 2**53}, {"models": ["x"] * 101}, {"models": "x"}, {"a": 1}):
        problem(team.user.api.patch(path, json=body), 400)
    assert change(team.user, mine, models=[known, known])["models"] == [known]
    assert change(team.user, mine, models=None)["models"] is None


async def test_a_key_for_no_model_is_refused_where_it_is_asked_for(team: Org, mine: KeyUser) -> None:
    told = problem(team.user.api.post("/api-keys", json={"label": "x", "models": []}), 400)
    assert [fault["pointer"] for fault in told["errors"]] == ["/models"]
    told = problem(team.user.api.patch(f"/api-keys/{mine.key['id']}", json={"models": []}), 400)
    assert "revoke the key" in told["detail"]


async def test_a_change_is_made_of_what_was_seen_and_use_changes_no_etag(team: Org, mine: KeyUser) -> None:
    path = f"/api-keys/{mine.key['id']}"
    etag = team.user.api.get(path).headers["etag"]
    await mine.use(5)
    await mine.book()
    assert team.user.api.get(path).headers["etag"] == etag

    first = team.user.api.patch(path, json={"monthly_tokens": 50}, headers={"if-match": etag})
    assert first.status_code == 200
    assert first.headers["etag"] == team.user.api.get(path).headers["etag"] != etag
    problem(team.user.api.patch(path, json={"monthly_tokens": 60}, headers={"if-match": etag}), 412)


async def test_keys_say_when_they_were_last_used_and_what_they_spent_this_month(team: Org, mine: KeyUser) -> None:
    path, never = f"/api-keys/{mine.key['id']}", team.user.issue_key()
    assert (mine.key["last_used_at"], mine.key["spent_tokens"]) == (None, 0)
    before = datetime.now(UTC) - timedelta(seconds=1)
    await mine.use(20)
    await mine.use(22)
    await mine.book()

    shown = team.user.get(path)
    assert before <= datetime.fromisoformat(shown["last_used_at"]) <= datetime.now(UTC) + timedelta(seconds=1)
    assert shown["spent_tokens"] == 42
    listed = {key["id"]: (key["last_used_at"], key["spent_tokens"]) for key in team.user.get("/api-keys")["items"]}
    assert listed == {mine.key["id"]: (shown["last_used_at"], 42), never["id"]: (None, 0)}
    assert team.user.api.delete(path).json()["last_used_at"] == shown["last_used_at"]


async def test_the_last_use_of_earlier_months_is_told_and_their_tokens_are_not(ground: Ground, mine: KeyUser) -> None:
    key, moment = UUID(mine.key["id"]), datetime(2025, 3, 4, tzinfo=UTC)
    for period, used_at in (("202502", datetime(2025, 2, 1, tzinfo=UTC)), ("202503", moment)):
        await ground.owner.execute(
            """INSERT INTO billing.spend (period, org_id, user_id, key_id, model, requests, prompt_tokens,
            completion_tokens, cached_tokens, cost, last_used_at) VALUES ($1, $2, $2, $3, 'm', 1, 5, 5, 0, 0, $4)""",
            *(period, mine.org.id, key, used_at),
        )
    assert await key_use([key, uuid7()]) == {key: (moment, 0)}

    await ground.owner.execute(
        "UPDATE billing.spend SET last_used_at = NULL, updated_at = $2 WHERE key_id = $1", key, moment
    )
    assert await key_use([key]) == {key: (moment, 0)}, "of sums that are older than the column"


@pytest.mark.parametrize("counted", [None, 0, 20])
async def test_a_change_that_redis_was_not_told_of_is_counted_before_it_binds(
    ground: Ground, mine: KeyUser, counted: int | None
) -> None:
    """As after a crash between the database and Redis; what was counted may be of a cap before, or of a count begun."""
    await mine.use(30)
    if counted is not None:
        await mine.edge.redis.hset(await mine.month(), f"k:{mine.key['id']}", counted)
    await ground.owner.execute("UPDATE identity.api_keys SET monthly_tokens = 40 WHERE id = $1", UUID(mine.key["id"]))
    await ground.owner.execute(
        "INSERT INTO identity.projection_debts (id, org_id, created_at) VALUES ($1, $2, now() - interval '1 hour')",
        *(uuid7(), mine.org.id),
    )

    await pay_debts(mine.edge)

    assert await mine.counted() == (30, 0)
    refused = (await mine.ask(prompt=100))[1]
    assert isinstance(refused, OverBudget)
    assert (refused.scope, refused.used) == ("key", 30)


async def test_counting_goes_on_where_nothing_deletes_only(mine: KeyUser) -> None:
    async with sole(JANITOR) as got:
        assert got
        waiting = asyncio.create_task(count_keys(mine.edge, mine.org, {mine.key["id"]: mine.fingerprint}))
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.3)
        assert not waiting.done()
    await asyncio.wait_for(waiting, 60)
    assert await mine.counted() == (0, 0)


@pytest.fixture
async def apart(world: Services, migrated: str) -> AsyncIterator[Ground]:
    """A database and a Redis of the test's own."""
    with world.database(migrated) as url, world.fresh("redis") as redis:
        async with opened(url, redis.url) as ground:
            yield ground


async def capped_key(ground: Ground, cap: int) -> KeyUser:
    """A key with a cap, straight in the database."""
    org = await ground.organisation()
    await ground.owner.execute(
        """INSERT INTO identity.users (id, org_id, email, email_folded, name, password_hash, role)
        VALUES ($1, $2, $3, $3, 'Ada', '', 'org-user')""",
        *(org.user, org.id, f"{org.tag}@example.org"),
    )
    await ground.owner.execute(
        """INSERT INTO identity.api_keys (id, org_id, user_id, label, prefix, fingerprint, monthly_tokens)
        VALUES ($1, $2, $3, '', '', $4, $5)""",
        *(org.key, org.id, org.user, keys.fingerprint(org.token), cap),
    )
    record = KeyRecord(keys.fingerprint(org.token), str(org.key), str(org.user), rules=Rules(monthly_tokens=cap))
    await ground.edge.grant(org.tag, record, await next_version())
    key = {"id": str(org.key), "user_id": str(org.user), "token": org.token}
    return KeyUser(ground.edge, Tenant(org.id, org.tag), key, (org.model_name, org.model))


async def test_an_emptied_redis_is_told_what_capped_keys_have_used(apart: Ground) -> None:
    user = await capped_key(apart, 300)
    await user.use(40)
    await user.book()
    await user.use(2)
    entries = await user.edge.redis.xrange(admission.outbox(user.org.tag))
    await user.edge.call(("FLUSHALL",))
    await user.edge.redis.xadd(admission.outbox(user.org.tag), entries[1][1], id=entries[1][0])

    assert REASSERT_S > 0
    assert await rebuild(user.edge) == 1

    assert await user.counted() == (42, 0)
    refused = (await user.ask(prompt=300))[1]
    assert isinstance(refused, OverBudget)
    assert (refused.scope, refused.limit, refused.used) == ("key", 300, 42)


async def test_the_check_makes_the_counts_of_capped_keys_right_and_looks_at_no_others(apart: Ground) -> None:
    user = await capped_key(apart, 300)
    await user.use(40)
    month, field = await user.month(), f"k:{user.key['id']}"
    assert await check(user.edge, OTHER, 0, 0) == 0
    assert await drifts("used") == {}
    await user.edge.redis.hincrby(month, field, 9)
    await user.edge.redis.hset(month, "k:a key without a cap", 77)

    await check(user.edge, OTHER, 0, 0)
    assert list((await drifts("used")).values()) == [{field: -9}]
    await check(user.edge, OTHER, 0, 0)

    assert await user.counted() == (40, 0)
    await user.edge.redis.hdel(month, field)
    await user.book()
    for _ in range(2):
        await check(user.edge, OTHER, 0, 0)
    assert await user.counted() == (40, 0)
    await check(user.edge, OTHER, 0, 0)
    assert await drifts("used") == {}
    entry = await apart.value("SELECT after FROM identity.audit_log WHERE action = 'use.repaired' ORDER BY id LIMIT 1")
    assert msgspec.json.decode(str(entry))[field] == 40
    assert await tags() == [user.org.tag]


async def test_what_a_key_used_in_the_month_before_its_first_cap_is_no_drift(apart: Ground) -> None:
    user = await capped_key(apart, 300)
    last = f"{datetime.now(UTC).replace(day=1) - timedelta(days=1):%Y%m}"
    await user.edge.redis.hset(f"{admission.slot(user.org.tag)}:bud:{last}", mapping={"used": 40, "base": 0})
    await apart.owner.execute("SELECT billing.open_period($1)", last)
    await apart.owner.execute(
        """INSERT INTO billing.spend (period, org_id, user_id, key_id, model, requests, prompt_tokens,
        completion_tokens, cached_tokens, cost) VALUES ($1, $2, $3, $4, 'm', 1, 40, 0, 0, 0)""",
        *(last, user.org.id, UUID(user.key["user_id"]), UUID(user.key["id"])),
    )
    await user.edge.redis.hset(f"{admission.slot(user.org.tag)}:bud:{last}", f"u:{user.key['user_id']}", 40)
    await user.use(5)
    for _ in range(2):
        await check(user.edge, OTHER, 0, 0)
    assert await drifts("used") == {}
    assert await apart.value("SELECT count(*) FROM identity.audit_log WHERE action = 'use.repaired'") == 0

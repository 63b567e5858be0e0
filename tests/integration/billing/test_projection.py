"""What gateways decide by, after Redis lost it or never got it."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator

import pytest

from ias.billing import projection, rebuild
from ias.billing.doors import INTAKE, pay_debts
from ias.billing.ledger import outbox
from ias.billing.ledger.domain import event_of
from ias.contract import admission, keys
from ias.contract.admission import Admitted, BadKey, NotReady, OverBudget, UnknownModel, text
from ias.contract.usage import UsageRecorded
from ias.db import EVERYWHERE, transaction, uuid7
from ias.edge import Edge
from ias.identity import owe
from ias.intake import take_in
from tests.integration.billing.doors import environment
from tests.integration.billing.ground import Ground, Org, opened
from tests.integration.billing.test_ledger import events
from tests.integration.gateway.place import eventually
from tests.product.processes import BIN
from tests.services import Service, Services

pytestmark = pytest.mark.alike


@pytest.fixture
def redis(world: Services) -> Iterator[Service]:
    """A Redis of the test's own, to be emptied at will."""
    with world.fresh("redis") as service:
        yield service


@pytest.fixture
async def ground(world: Services, redis: Service, migrated: str) -> AsyncIterator[Ground]:
    """A database and a Redis of the test's own."""
    with world.database(migrated) as url:
        async with opened(url, redis.url) as ground:
            yield ground


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gateways, which there are none of, get no time."""
    monkeypatch.setattr(projection, "REASSERT_S", 0.0)


async def give_key(ground: Ground, org: Org) -> None:
    """Put the key that Redis knows into PostgreSQL."""
    await ground.owner.execute(
        """INSERT INTO identity.users (id, org_id, email, email_folded, name, password_hash, role)
        VALUES ($1, $2, $3, $3, 'Ada', '', 'org-user')""",
        *(org.user, org.id, f"{org.tag}@example.org"),
    )
    await ground.owner.execute(
        """INSERT INTO identity.api_keys (id, org_id, user_id, label, prefix, fingerprint)
        VALUES ($1, $2, $3, '', '', $4)""",
        *(org.key, org.id, org.user, keys.fingerprint(org.token)),
    )


async def test_an_emptied_redis_is_rebuilt_with_keys_models_and_this_months_use(ground: Ground, org: Org) -> None:
    await give_key(ground, org)
    period = (await org.edge.standing(org.tag, ""))[0]
    await take_in(INTAKE, events(org, 3, period=text(period)))
    await org.edge.call(("FLUSHALL",))
    assert isinstance((await org.reserve())[1], NotReady)

    assert await rebuild(org.edge) == 1

    assert await org.edge.whole()
    assert isinstance((await org.reserve())[1], Admitted)
    assert [text(part) for part in (await org.edge.standing(org.tag, str(org.user)))[2:5:2]] == ["330", "330"]
    assert isinstance(await unknown_key(org), BadKey)


async def unknown_key(org: Org) -> object:
    org.token = keys.mint(org.tag)
    return (await org.reserve())[1]


async def test_rebuilding_what_is_whole_changes_nothing(ground: Ground, org: Org) -> None:
    await give_key(ground, org)
    await rebuild(org.edge)
    await org.complete((10, 5, 0))

    await rebuild(org.edge)

    assert [text(part) for part in (await org.edge.standing(org.tag, str(org.user)))[2:6]] == ["15", "0", "15", "0"]


async def test_use_counted_by_redis_before_the_rebuild_is_kept(ground: Ground, org: Org) -> None:
    """What was settled under an incomplete month is added to the ledger's sums, not replaced by them."""
    await give_key(ground, org)
    period = text((await org.edge.standing(org.tag, ""))[0])
    await take_in(INTAKE, events(org, 1, period=period))
    request_id, admitted = await org.reserve()
    await org.edge.call(("FLUSHALL",))
    assert isinstance(admitted, Admitted)
    await org.settle(request_id, (10, 5, 0), admitted)

    await rebuild(org.edge)

    assert text((await org.edge.standing(org.tag, str(org.user)))[2]) == "125"


async def test_what_is_sent_again_and_in_the_ledger_already_is_counted_once(ground: Ground, org: Org) -> None:
    """A gateway keeps what it settled until the ledger has it, and sends it again to a Redis that lost it."""
    await give_key(ground, org)
    request_id, admitted = await org.reserve()
    assert isinstance(admitted, Admitted)
    await org.settle(request_id, (10, 5, 0), admitted)
    await take_in(INTAKE, await settled(org))
    assert await ground.value("SELECT sum(prompt_tokens + completion_tokens)::bigint FROM billing.spend") == 15
    await org.edge.call(("FLUSHALL",))
    await org.settle(request_id, (10, 5, 0), admitted)
    another = str(uuid7())
    await org.settle(another, (3, 4, 0), admitted)

    await rebuild(org.edge)

    assert [text(part) for part in (await org.edge.standing(org.tag, str(org.user)))[2:5:2]] == ["22", "22"]


async def settled(org: Org) -> list[UsageRecorded]:
    """What the relay would hand on."""
    return [event_of(entry.fields, entry.at_ms) for entry in await outbox.first(org.edge, [org.tag], {}, 100)]


async def test_a_settlement_that_is_sent_again_is_no_contradiction(ground: Ground, org: Org) -> None:
    """Its time in a Redis that lost the first is another one; all that money goes by is the same."""
    await give_key(ground, org)
    request_id, admitted = await org.reserve()
    assert isinstance(admitted, Admitted)
    await org.settle(request_id, (10, 5, 0), admitted)
    await take_in(INTAKE, await settled(org))
    await org.edge.call(("FLUSHALL",))
    await org.settle(request_id, (10, 5, 0), admitted)
    await take_in(INTAKE, await settled(org))
    assert await ground.value("SELECT count(*) FROM billing.quarantine") == 0
    assert await ground.value("SELECT sum(requests)::bigint FROM billing.spend") == 1


async def test_gateways_put_back_what_they_have_under_way_before_anybody_is_admitted(
    ground: Ground, org: Org, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "REASSERT_S", 3.0)
    await give_key(ground, org)
    await ground.owner.execute("INSERT INTO billing.budgets (org_id, monthly_tokens) VALUES ($1, 120)", org.id)
    request_id, admitted = await org.reserve()
    assert isinstance(admitted, Admitted)
    await org.edge.call(("FLUSHALL",))
    rebuilding = asyncio.create_task(rebuild(org.edge))

    async def projected() -> bool:
        return bool(await org.edge.redis.exists(f"{admission.slot(org.tag)}:pol"))

    await eventually(projected)
    assert isinstance((await org.reserve())[1], NotReady)
    record = (admitted.held, admitted.period, admitted.user, admitted.output, 0, 0, 0, admitted.key, "f", "m")
    again = admission.reassert(org.tag, request_id, (*record, str(org.model), "chat", 0, 1), ("gateway-1", 30))
    assert await org.edge.call(again) == 1
    assert not rebuilding.done()

    await rebuilding

    assert isinstance((await org.reserve())[1], OverBudget)
    await org.settle(request_id, (10, 5, 0), admitted)
    assert isinstance((await org.reserve())[1], Admitted)


async def test_an_ordinary_rebuild_waits_for_nobody(ground: Ground, org: Org, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projection, "REASSERT_S", 3600.0)
    await give_key(ground, org)
    await asyncio.wait_for(rebuild(org.edge), 60)
    await asyncio.wait_for(rebuild(org.edge), 60)


async def test_an_organisation_is_never_complete_without_what_it_has_used(ground: Ground, org: Org) -> None:
    """Redis is emptied between a look at it and the paying of debts."""
    await give_key(ground, org)
    period = text((await org.edge.standing(org.tag, ""))[0])
    await take_in(INTAKE, events(org, 3, period=period))
    async with transaction(EVERYWHERE):
        await owe(org.id)
    await ground.owner.execute("UPDATE identity.projection_debts SET created_at = now() - interval '1 minute'")
    await org.edge.call(("FLUSHALL",))

    await pay_debts(org.edge)

    assert isinstance((await org.reserve())[1], Admitted)
    assert text((await org.edge.standing(org.tag, str(org.user)))[2]) == "330"


async def test_a_redis_without_the_library_gets_it(ground: Ground, org: Org) -> None:
    await org.edge.call(("FUNCTION", "FLUSH"))

    await rebuild(org.edge)

    assert await org.edge.library_is_current()


async def test_a_debt_is_paid_by_projecting_the_organisation_again(ground: Ground, org: Org) -> None:
    await give_key(ground, org)
    await ground.owner.execute("INSERT INTO billing.budgets (org_id, monthly_tokens) VALUES ($1, 5)", org.id)
    async with transaction(EVERYWHERE):
        await owe(org.id)
    await ground.owner.execute("UPDATE identity.projection_debts SET created_at = now() - interval '1 minute'")
    assert isinstance((await org.reserve())[1], Admitted)

    await pay_debts(org.edge)

    assert isinstance((await org.reserve())[1], OverBudget)
    assert await ground.value("SELECT count(*) FROM identity.projection_debts") == 0


async def test_a_debt_of_the_catalogue_is_paid_for_every_organisation(ground: Ground, org: Org) -> None:
    await ground.owner.execute("UPDATE billing.models SET enabled = false")
    await ground.owner.execute("INSERT INTO billing.route_debts DEFAULT VALUES")

    await pay_debts(org.edge)

    assert isinstance((await org.reserve())[1], UnknownModel)
    assert await ground.value("SELECT count(*) FROM billing.route_debts") == 0


async def test_a_debt_stays_while_redis_is_away(ground: Ground, org: Org, redis: Service) -> None:
    await ground.owner.execute("INSERT INTO billing.route_debts DEFAULT VALUES")
    away = Edge("redis://127.0.0.1:1/0")

    with pytest.raises(Exception, match="does not answer"):
        await pay_debts(away)

    assert await ground.value("SELECT count(*) FROM billing.route_debts") == 1
    await away.close()


async def test_the_command_rebuilds_what_gateways_decide_by(ground: Ground, org: Org, redis: Service) -> None:
    await give_key(ground, org)
    await org.edge.call(("FLUSHALL",))

    done = await asyncio.to_thread(
        subprocess.run,
        [str(BIN / "ias"), "projection", "rebuild"],
        env=environment(ground.database_url, redis.url),
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout) == (0, "projected 1 organisations\n"), done.stderr
    assert isinstance((await org.reserve())[1], Admitted)

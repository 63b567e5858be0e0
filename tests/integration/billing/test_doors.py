"""Models, budgets, limits and the ledger through the API, and what gateways make of them at once."""

import asyncio
from decimal import Decimal
from uuid import UUID, uuid4

import pytest

from ias.billing.catalogue.rates import HOLD_ALONE
from ias.billing.doors import INTAKE
from ias.contract import admission
from ias.contract.admission import Admitted, OverBudget, OverRate, Refused, UnknownModel
from ias.contract.catalogue import decode_route
from ias.intake import take_in
from tests.integration.billing.doors import model_name, problem, reserve, tag_of
from tests.integration.billing.ground import Ground
from tests.integration.billing.test_ledger import events
from tests.product.people import Org, Person, new_org

pytestmark = pytest.mark.alike

BACKENDS = [{"url": "http://engine.example:8000"}]


@pytest.fixture
def model(root: Person) -> dict[str, object]:
    """A model that every organisation may call."""
    return root.post(
        "/models", {"name": model_name(), "backends": BACKENDS, "input_rate": "0.5", "output_rate": "1.50"}
    )


async def asked(ground: Ground, token: str, model: object, output: int = 100) -> Admitted | Refused:
    answer = await ground.edge.call(reserve(tag_of(token), token, str(model), output))
    return admission.read_reserve(answer)


async def test_a_model_can_be_called_from_the_answer_on(ground: Ground, team: Org, model: dict[str, object]) -> None:
    token = team.user.issue_key()["token"]

    admitted = await asked(ground, token, model["name"])

    assert isinstance(admitted, Admitted)
    route = decode_route(admitted.route)
    assert (route.name, route.model_id, route.replicas) == (model["name"], model["id"], ("http://engine.example:8000",))


def test_members_see_models_and_prices_but_not_where_they_are_served(team: Org, model: dict[str, object]) -> None:
    seen = team.user.get(f"/models/{model['id']}")

    assert "backends" not in seen
    assert (seen["input_rate"], seen["output_rate"], seen["cached_input_rate"]) == ("0.5", "1.5", "0.5")
    assert model["id"] in [item["id"] for item in team.user.get("/models")["items"]]


def test_only_those_who_may_write_models_do(team: Org, model: dict[str, object]) -> None:
    new = {"name": model_name(), "backends": BACKENDS}

    problem(team.admin.api.post("/models", json=new), 403)
    problem(team.admin.api.patch(f"/models/{model['id']}", json={"enabled": False}), 403)
    problem(team.admin.api.delete(f"/models/{model['id']}"), 403)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"backends": [{"url": "http://127.0.0.1:8000"}]}, "/backends/0/url"),
        ({"backends": []}, "/backends"),
        ({"input_rate": "-1"}, "/input_rate"),
        ({"name": "a b"}, "/name"),
    ],
)
def test_a_bad_model_is_refused_with_the_place(root: Person, changes: dict[str, object], pointer: str) -> None:
    answer = problem(root.api.post("/models", json={"name": model_name(), "backends": BACKENDS} | changes), 400)

    assert [error["pointer"] for error in answer["errors"]] == [pointer]


def test_an_unknown_field_is_refused(root: Person) -> None:
    problem(root.api.post("/models", json={"name": model_name(), "backends": BACKENDS, "price": 1}), 400)


def test_a_name_is_taken_once_and_free_again_after_removal(root: Person, model: dict[str, object]) -> None:
    again = {"name": model["name"], "backends": BACKENDS}
    problem(root.api.post("/models", json=again), 409)

    assert root.api.delete(f"/models/{model['id']}").status_code == 204

    problem(root.api.get(f"/models/{model['id']}"), 404)
    problem(root.api.delete(f"/models/{model['id']}"), 404)
    assert root.post("/models", again)["id"] != model["id"]


async def test_a_disabled_model_is_gone_for_gateways_and_members(
    ground: Ground, root: Person, team: Org, model: dict[str, object]
) -> None:
    token = team.user.issue_key()["token"]

    root.api.patch(f"/models/{model['id']}", json={"enabled": False}).raise_for_status()

    assert isinstance(await asked(ground, token, model["name"]), UnknownModel)
    problem(team.user.api.get(f"/models/{model['id']}"), 404)
    assert root.get(f"/models/{model['id']}")["enabled"] is False


async def test_changed_backends_reach_the_gateways(
    ground: Ground, root: Person, team: Org, model: dict[str, object]
) -> None:
    token = team.user.issue_key()["token"]

    changes = {"backends": [{"url": "http://a.example"}, {"url": "http://b.example"}], "max_output_tokens": 7}
    changes |= {"image_tokens": 1500, "prompt_overhead": 300}
    root.api.patch(f"/models/{model['id']}", json=changes).raise_for_status()

    admitted = await asked(ground, token, model["name"])
    assert isinstance(admitted, Admitted)
    assert decode_route(admitted.route).replicas == ("http://a.example", "http://b.example")
    assert decode_route(admitted.route).max_output_tokens == 7
    assert decode_route(admitted.route).image_tokens == 1500
    assert decode_route(admitted.route).prompt_overhead == root.get(f"/models/{model['id']}")["prompt_overhead"] == 300
    assert root.get(f"/models/{model['id']}")["image_tokens"] == 1500


async def test_a_new_rate_leaves_the_old_one_for_older_requests(
    ground: Ground, root: Person, model: dict[str, object]
) -> None:
    root.api.patch(f"/models/{model['id']}", json={"output_rate": "3"}).raise_for_status()
    root.api.patch(f"/models/{model['id']}", json={"tenant_salt": False}).raise_for_status()

    rates = await ground.rows("SELECT output FROM billing.rates WHERE model_id = $1 ORDER BY valid_from", model["id"])
    assert rates == [(Decimal("1.5"),), (Decimal(3),)]
    assert root.get(f"/models/{model['id']}")["output_rate"] == "3"


async def test_who_changes_a_model_is_not_in_the_way_of_who_enters_a_rate_of_it(
    ground: Ground, root: Person, model: dict[str, object]
) -> None:
    path = f"/models/{model['id']}"
    async with ground.owner.transaction():
        await ground.owner.execute(HOLD_ALONE)
        changing = asyncio.create_task(asyncio.to_thread(root.api.patch, path, json={"output_rate": "3"}))
        while not await ground.value(
            "SELECT EXISTS (SELECT FROM pg_locks WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid)))"
        ):
            assert not changing.done()
            await asyncio.sleep(0.01)
        # A rate refers to its model: were this to wait, each would wait for the other.
        await ground.owner.execute("SELECT FROM billing.models WHERE id = $1 FOR KEY SHARE NOWAIT", UUID(model["id"]))
    (await changing).raise_for_status()


async def test_an_organisation_calls_the_models_that_it_is_allowed(
    ground: Ground, root: Person, team: Org, model: dict[str, object]
) -> None:
    token, other = team.user.issue_key()["token"], root.post("/models", {"name": model_name(), "backends": BACKENDS})
    where = f"/organizations/{team.id}/allowed-models"

    root.api.put(where, json={"models": [model["name"]]}).raise_for_status()

    assert isinstance(await asked(ground, token, model["name"]), Admitted)
    assert await asked(ground, token, other["name"]) == UnknownModel((str(model["name"]),))
    assert [item["name"] for item in team.user.get("/models")["items"]] == [model["name"]]
    problem(team.user.api.get(f"/models/{other['id']}"), 404)
    assert team.user.get(where)["models"] == [model["name"]]


def test_an_org_admin_chooses_among_the_models_that_the_platform_gave(
    root: Person, team: Org, model: dict[str, object]
) -> None:
    other, where = model_name(), f"/organizations/{team.id}/allowed-models"
    root.post("/models", {"name": other, "backends": BACKENDS})
    root.api.put(where, json={"models": [model["name"]]}).raise_for_status()

    for models in ([other], [model["name"], other], None):
        problem(team.admin.api.put(where, json={"models": models}), 403)
    team.admin.api.put(where, json={"models": []}).raise_for_status()
    team.admin.api.put(where, json={"models": [model["name"]]}).raise_for_status()
    problem(root.api.put(where, json={"models": ["nope"]}), 400)


async def test_a_budget_holds_at_once_and_what_is_used_stays_used(
    ground: Ground, root: Person, team: Org, model: dict[str, object]
) -> None:
    token, where = team.user.issue_key()["token"], f"/organizations/{team.id}/budget"
    assert isinstance(await asked(ground, token, model["name"]), Admitted)

    root.api.patch(where, json={"monthly_tokens": 110}).raise_for_status()
    refused = await asked(ground, token, model["name"])
    root.api.patch(where, json={"monthly_tokens": None}).raise_for_status()

    assert isinstance(refused, OverBudget)
    assert (refused.scope, refused.limit, refused.held) == ("organisation", 110, 110)
    assert isinstance(await asked(ground, token, model["name"]), Admitted)
    assert team.admin.get(where)["held_tokens"] == 220


def test_what_is_left_out_of_a_budget_stays(root: Person, team: Org) -> None:
    where = f"/organizations/{team.id}/budget"

    root.api.patch(where, json={"user_monthly_tokens": 7}).raise_for_status()
    root.api.patch(where, json={"monthly_tokens": 70}).raise_for_status()

    budget = root.get(where)
    assert (budget["monthly_tokens"], budget["user_monthly_tokens"]) == (70, 7)


def test_an_org_admin_lowers_the_budget_but_does_not_raise_it_above_what_was_given(root: Person, team: Org) -> None:
    where = f"/organizations/{team.id}/budget"
    for tokens in (1_000_001, None):
        problem(team.admin.api.patch(where, json={"monthly_tokens": tokens}), 403)
    root.api.patch(where, json={"monthly_tokens": 5_000_000}).raise_for_status()

    team.admin.api.patch(where, json={"monthly_tokens": 10}).raise_for_status()
    team.admin.api.patch(where, json={"monthly_tokens": 5_000_000}).raise_for_status()
    problem(team.admin.api.patch(where, json={"monthly_tokens": 5_000_001}), 403)


@pytest.mark.parametrize("tokens", [-1, 2**63, 1.5, True, "ten"])
def test_a_budget_that_cannot_be_counted_is_refused(root: Person, team: Org, tokens: object) -> None:
    problem(root.api.patch(f"/organizations/{team.id}/budget", json={"monthly_tokens": tokens}), 400)


async def test_a_member_may_have_a_budget_of_their_own(ground: Ground, team: Org, model: dict[str, object]) -> None:
    users = {item["role"]: item["id"] for item in team.admin.get("/users")["items"]}
    where = f"/organizations/{team.id}/users/{users['org-user']}/budget"

    team.admin.api.put(where, json={"monthly_tokens": 5}).raise_for_status()

    refused = await asked(ground, team.user.issue_key()["token"], model["name"])
    assert isinstance(refused, OverBudget)
    assert refused.scope == "user"
    assert isinstance(await asked(ground, team.admin.issue_key()["token"], model["name"]), Admitted)
    problem(team.admin.api.put(f"/organizations/{team.id}/users/{uuid4()}/budget", json={"monthly_tokens": 5}), 404)
    problem(team.user.api.put(where, json={"monthly_tokens": None}), 403)


async def test_limits_hold_at_once(ground: Ground, root: Person, team: Org, model: dict[str, object]) -> None:
    token, where = team.user.issue_key()["token"], f"/organizations/{team.id}/limits"

    root.api.put(where, json={"concurrency": 1}).raise_for_status()

    assert isinstance(await asked(ground, token, model["name"]), Admitted)
    refused = await asked(ground, token, model["name"])
    assert isinstance(refused, OverRate)
    assert (refused.kind, refused.scope) == ("concurrency", "organisation")
    assert team.user.get(where)["concurrency"] == 1


def test_an_org_admin_lowers_limits_but_does_not_raise_them(root: Person, team: Org) -> None:
    where = f"/organizations/{team.id}/limits"
    root.api.put(where, json={"requests_per_second": 10, "burst": 20}).raise_for_status()

    team.admin.api.put(where, json={"requests_per_second": 5, "burst": 5}).raise_for_status()
    team.admin.api.put(where, json={"requests_per_second": 10, "burst": 20}).raise_for_status()
    problem(team.admin.api.put(where, json={"requests_per_second": 11, "burst": 20}), 403)
    problem(team.admin.api.put(where, json={"requests_per_second": None, "burst": 20}), 403)
    problem(root.api.put(where, json={"requests_per_second": 10, "burst": 5}), 400)
    problem(root.api.put(where, json={"requests_per_second": 0}), 400)


def test_what_a_system_admin_leaves_as_the_organisation_chose_it_lowers_nothing_that_was_given(
    root: Person, team: Org
) -> None:
    where = f"/organizations/{team.id}/limits"
    root.api.put(where, json={"requests_per_second": 100, "burst": 200}).raise_for_status()
    team.admin.api.put(where, json={"requests_per_second": 10, "burst": 20}).raise_for_status()

    root.api.put(where, json={"requests_per_second": 10, "burst": 20, "user_concurrency": 3}).raise_for_status()

    chosen = {"requests_per_second": 100, "burst": 200, "user_concurrency": 3}
    team.admin.api.put(where, json=chosen).raise_for_status()
    problem(team.admin.api.put(where, json={**chosen, "user_concurrency": 4}), 403)
    root.api.put(where, json={**chosen, "requests_per_second": 50}).raise_for_status()
    problem(team.admin.api.put(where, json={**chosen, "requests_per_second": 51}), 403)


def test_of_models_the_platform_gives_what_it_adds_and_takes_what_it_strikes_and_no_more(
    root: Person, team: Org, model: dict[str, object]
) -> None:
    first, where = str(model["name"]), f"/organizations/{team.id}/allowed-models"
    second, third, fourth = (root.post("/models", {"name": model_name(), "backends": BACKENDS})["name"] for _ in "234")
    root.api.put(where, json={"models": [first, second]}).raise_for_status()
    team.admin.api.put(where, json={"models": [first]}).raise_for_status()

    root.api.put(where, json={"models": [first, third]}).raise_for_status()
    team.admin.api.put(where, json={"models": [first, second, third]}).raise_for_status()
    root.api.put(where, json={"models": [second, third]}).raise_for_status()

    problem(team.admin.api.put(where, json={"models": [first, second, third]}), 403)
    problem(team.admin.api.put(where, json={"models": [fourth]}), 403)
    root.api.put(where, json={"models": None}).raise_for_status()
    team.admin.api.put(where, json={"models": [fourth, first]}).raise_for_status()
    root.api.put(where, json={"models": [first]}).raise_for_status()
    team.admin.api.put(where, json={"models": [second]}).raise_for_status()
    problem(team.admin.api.put(where, json={"models": [fourth]}), 403)
    problem(team.admin.api.put(where, json={"models": None}), 403)


async def test_prompts_are_estimated_only_where_the_platform_gave_it(ground: Ground, root: Person, team: Org) -> None:
    where, policy = f"/organizations/{team.id}/limits", f"{admission.slot(team.tag)}:pol"
    problem(team.admin.api.put(where, json={"mode": "estimate"}), 403)
    problem(root.api.put(where, json={"mode": "guess"}), 400)
    root.api.put(where, json={"mode": "estimate"}).raise_for_status()
    assert (await ground.edge.redis.hget(policy, "estimate"), team.user.get(where)["mode"]) == (b"1", "estimate")
    team.admin.api.put(where, json={"mode": "strict"}).raise_for_status()
    assert await ground.edge.redis.hget(policy, "estimate") == b"0"
    team.admin.api.put(where, json={"mode": "estimate"}).raise_for_status()


def test_another_organisations_things_are_not_there(root: Person, team: Org) -> None:
    other = new_org(root, f"other-{uuid4().hex}")
    for path in ("budget", "limits", "allowed-models"):
        problem(team.admin.api.get(f"/organizations/{other.id}/{path}"), 404)
        problem(root.api.get(f"/organizations/{uuid4()}/{path}"), 404)
    problem(team.admin.api.patch(f"/organizations/{other.id}/budget", json={"monthly_tokens": 1}), 404)
    problem(team.admin.api.put(f"/organizations/{other.id}/limits", json={}), 404)
    problem(team.admin.api.put(f"/organizations/{other.id}/allowed-models", json={"models": []}), 404)
    problem(team.admin.api.get("/ledger/lines", params={"org_id": other.id}), 404)


def test_an_organisation_that_was_removed_is_read_as_before_and_changed_no_more(root: Person) -> None:
    gone = new_org(root, f"gone-{uuid4().hex}")
    at, user = f"/organizations/{gone.id}", gone.admin.get("/users")["items"][0]["id"]
    root.api.delete(at).raise_for_status()

    reads = {path: root.get(f"{at}/{path}") for path in ("budget", "limits", "allowed-models", "alert-thresholds")}
    changes = {
        "limits": {"concurrency": 5},
        "allowed-models": {"models": []},
        "alert-thresholds": {"thresholds": [7]},
        f"users/{user}/budget": {"monthly_tokens": 5},
    }
    problem(root.api.patch(f"{at}/budget", json={"monthly_tokens": 5}), 404)
    for path, asked in changes.items():
        problem(root.api.put(f"{at}/{path}", json=asked), 404)

    for path, seen in reads.items():
        now = root.get(f"{at}/{path}")
        same = {"forecast": None, "period": None}  # which move with the clock
        assert now | same == seen | same, path


async def test_the_ledger_shows_an_organisation_its_own_lines(ground: Ground, root: Person, team: Org) -> None:
    mine, other = await ground.organisation(), await ground.organisation()
    mine.id = UUID(team.id)
    batch = [*events(mine, 2), *events(other, 1)]
    await take_in(INTAKE, batch)

    lines = team.user.get("/ledger/lines")["items"]

    assert {line["request_id"] for line in lines} == {str(event.request_id) for event in batch[:2]}
    [line] = team.user.get("/ledger/lines", request_id=str(batch[0].request_id))["items"]
    assert (line["prompt_tokens"], line["completion_tokens"], line["cached_tokens"]) == (100, 10, 60)
    assert (line["cost"], line["outcome"], line["period"]) == ("0.041", "completed", "202601")
    assert team.user.get("/ledger/lines", request_id=str(batch[2].request_id))["items"] == []
    assert len(root.get("/ledger/lines", request_id=str(batch[2].request_id))["items"]) == 1


async def test_every_write_is_in_the_audit_log_with_what_changed(
    ground: Ground, root: Person, team: Org, model: dict[str, object]
) -> None:
    root.api.patch(f"/organizations/{team.id}/budget", json={"monthly_tokens": 5}).raise_for_status()
    root.api.put(f"/organizations/{team.id}/limits", json={"concurrency": 3}).raise_for_status()
    root.api.put(f"/organizations/{team.id}/allowed-models", json={"models": []}).raise_for_status()
    root.api.patch(f"/models/{model['id']}", json={"enabled": False}).raise_for_status()
    root.api.delete(f"/models/{model['id']}").raise_for_status()

    log = await ground.rows(
        """SELECT action, before::text, after::text FROM identity.audit_log
        WHERE target_id::text = ANY($1) ORDER BY id""",
        [team.id, str(model["id"])],
    )

    written = {str(action): (before, after) for action, before, after in log}
    assert {"model.registered", "budget.changed", "limits.changed", "allowed_models.changed"} <= set(written)
    assert written["budget.changed"] == ('{"monthly_tokens": 1000000}', '{"monthly_tokens": 5}')
    assert written["limits.changed"] == ('{"concurrency": 2000}', '{"concurrency": 3}')
    assert '"enabled": false' in str(written["model.changed"][1])
    assert "model.removed" in written

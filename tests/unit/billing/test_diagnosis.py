"""What a trial of a model comes to, and what to do about it."""

from decimal import Decimal

import pytest

from ias.billing.catalogue.diagnosis import Check, State, diagnosed
from ias.contract.trials import Call, Replica, Told, Tried
from tests.unit.billing.test_catalogue import a_model

URL = "http://llama:8000"
WELL = Tried(200, 12.3)
CHAT = "/v1/chat/completions"


def replica(
    *, health: Tried = WELL, models: Tried = WELL, served: dict[str, int] | None = None, call: Call | None = None
) -> Replica:
    names = {"meta-llama/Llama-3-8B": 8192} if served is None else served
    return Replica(URL, health, models, names, call or called())


def called(how: Tried = WELL, *, request_id: bool = True, usage: bool = True, details: bool = True) -> Call:
    return Call(CHAT, how, request_id, usage, details, prompt_tokens=4, completion_tokens=1)


def checks(did: Replica, **changes: object) -> dict[str, Check]:
    (found,) = diagnosed(a_model(**changes), Told("gw", [did])).replicas
    return {check.what: check for check in found.checks}


def test_where_all_is_well_nothing_is_to_be_done() -> None:
    tested = diagnosed(a_model(), Told("gw", [replica()]))
    (found,) = tested.replicas
    assert (tested.ok, tested.gateway, found.ok, found.url) == (True, "gw", True, URL)
    assert (found.latency_ms, found.prompt_tokens, found.completion_tokens) == (12.3, 4, 1)
    assert {check.state for check in found.checks} == {State.OK}
    assert {check.mend for check in found.checks} == {""}


def test_one_replica_that_is_not_well_makes_the_model_not_well() -> None:
    tested = diagnosed(a_model(), Told("gw", [replica(), replica(health=Tried(503, 1.0))]))
    assert [found.ok for found in tested.replicas] == [True, False]
    assert not tested.ok
    assert not diagnosed(a_model(), Told("gw", [])).ok


@pytest.mark.parametrize(
    ("why", "mend"),
    [
        ("Connection refused", "see that the engine runs"),
        ("no answer within 8 s", "networks let gateways through"),
        ("llama leads to a loopback address, list its network in IAS_UPSTREAM_ALLOW", "allow its network"),
    ],
)
def test_what_cannot_be_reached_is_said_once_with_what_to_do(why: str, mend: str) -> None:
    away = Tried(why=why)
    (found,) = diagnosed(a_model(), Told("gw", [replica(health=away, models=away, call=Call(CHAT, away))])).replicas
    (check,) = found.checks
    assert (check.what, check.state, check.found) == ("reachable", State.WRONG, why)
    assert mend in check.mend
    assert found.latency_ms is found.prompt_tokens is found.completion_tokens is None


@pytest.mark.parametrize(
    ("status", "mend"), [(307, "redirect"), (401, "--api-key"), (403, "--api-key"), (500, "see the engine's log")]
)
def test_a_status_that_is_none_of_an_engine_says_what_to_do(status: int, mend: str) -> None:
    bad = Tried(status, 1.0)
    found = checks(replica(health=bad, models=bad, call=Call(CHAT, bad)))
    assert [found[what].state for what in ("health", "name", "call")] == [State.WRONG] * 3
    assert all(mend in found[what].mend for what in ("health", "name", "call"))
    assert all(f"status {status}" in found[what].found for what in ("health", "name", "call"))


def test_a_name_that_is_not_served_is_told_with_those_that_are() -> None:
    found = checks(replica(served={"other": 8192, "another": 0}, call=Call(CHAT, Tried(404, 2.0))))
    assert found["name"].state is State.WRONG
    assert "other, another" in found["name"].found
    assert "--served-model-name meta-llama/Llama-3-8B" in found["name"].mend
    assert found["call"].state is State.WRONG
    assert "serves this name" in found["call"].mend
    assert "context length" not in found


@pytest.mark.parametrize(
    ("theirs", "state", "mend"),
    [
        (4096, State.WRONG, "context_length to 4096"),
        (8192, State.OK, ""),
        (32768, State.ADVICE, "context_length to 32768"),
    ],
)
def test_the_context_is_compared_with_the_catalogues(theirs: int, state: State, mend: str) -> None:
    check = checks(replica(served={"meta-llama/Llama-3-8B": theirs}))["context length"]
    assert check.state is state
    assert mend in check.mend


def test_an_engine_that_does_not_tell_its_context_is_not_blamed_for_it() -> None:
    assert "context length" not in checks(replica(served={"meta-llama/Llama-3-8B": 0}))


def test_an_engine_without_usage_is_not_well() -> None:
    found = checks(replica(call=called(usage=False)))
    assert found["usage"].state is State.WRONG
    assert "cached tokens" not in found


def test_details_of_the_prompt_are_advice_until_cached_tokens_have_a_rate_of_their_own() -> None:
    did = replica(call=called(details=False))
    same = checks(did, input_rate=Decimal("0.5"), cached_input_rate=Decimal("0.5"))["cached tokens"]
    cheaper = checks(did, input_rate=Decimal("0.5"), cached_input_rate=Decimal("0.1"))["cached tokens"]
    assert (same.state, cheaper.state) == (State.ADVICE, State.WRONG)
    assert "--enable-prompt-tokens-details" in same.mend
    assert "rate for cached tokens" in cheaper.found


def test_request_ids_are_advice() -> None:
    did = replica(call=called(request_id=False))
    assert checks(did)["request id"].state is State.ADVICE
    assert diagnosed(a_model(), Told("gw", [did])).ok

"""How much of a prompt is held: its upper bound, an exact count near the budget's end, or an estimate."""

import msgspec
import pytest

from ias.contract import admission, catalogue
from ias.contract.admission import Admitted, Near
from tests.integration.contract.ground import ROUTE, Org


async def overhead(org: Org, tokens: int) -> None:
    route = msgspec.structs.replace(ROUTE, prompt_overhead=tokens)
    await org.project("routes", {"llama": catalogue.encode_route(route)})


async def test_a_strict_organisation_holds_the_upper_bound_whatever_is_guessed(org: Org) -> None:
    _, admitted = await org.held(prompt=100, guess=30)
    assert (admitted.held, admitted.risk) == (150, 0)


async def test_an_estimate_is_held_where_the_policy_says_so_and_the_risk_is_told(org: Org) -> None:
    await org.policy(estimate=1)
    _, admitted = await org.held(prompt=100, guess=30)
    assert (admitted.held, admitted.risk) == (80, 70)
    assert await org.budget() == (0, 80)
    await org.policy(estimate=1, tpm=10_000)
    _, admitted = await org.held(prompt=100, guess=30)
    assert (admitted.held, admitted.risk, admitted.tokens.limit) == (80, 70, 10_000)


async def test_a_guess_is_never_more_than_the_upper_bound(org: Org) -> None:
    await org.policy(estimate=1)
    _, admitted = await org.held(prompt=100, guess=300)
    assert (admitted.held, admitted.risk) == (150, 0)


async def test_without_a_guess_the_upper_bound_is_held_in_either_mode(org: Org) -> None:
    await org.policy(estimate=1)
    assert (await org.held(prompt=100))[1].held == 150


async def test_what_an_estimate_had_too_little_is_taken_out_of_the_minute(org: Org) -> None:
    await org.policy(estimate=1, tpm=600)
    request_id, admitted = await org.held(prompt=100, guess=30)
    assert admitted.tokens.remaining == 520
    await org.settle(request_id, admitted, 200, 50)
    left = await org.held(prompt=1, output=1)
    assert 340 <= left[1].tokens.remaining <= 420, "ten come back in a second, and 70 were held"


@pytest.mark.parametrize("limits", [{"tokens": 149}, {"udef": 149}, {"tokens": 120}, {"tokens": 60}])
async def test_a_bound_that_does_not_fit_in_the_budget_is_to_be_counted(org: Org, limits: dict[str, int]) -> None:
    await org.policy(**limits)
    near = await org.reserve("near", prompt=100, output=50, guess=30)
    assert isinstance(near, Near)
    assert catalogue.decode_route(near.route) == ROUTE
    assert await org.budget() == (0, 0)
    counted = await org.reserve("near", prompt=10, output=50)
    assert isinstance(counted, Admitted)
    assert (counted.output, counted.held) == (50, 60)


async def test_a_bound_that_fits_is_not_counted(org: Org) -> None:
    await org.policy(tokens=150)
    assert (await org.held(prompt=100, output=50, guess=30))[1].output == 50


async def test_a_budget_that_no_count_could_help_refuses_at_once(org: Org) -> None:
    await org.policy(tokens=10)
    assert isinstance(await org.reserve(prompt=6400, output=50, guess=30), admission.OverBudget)
    await org.policy(tokens=0)
    assert isinstance(await org.reserve(prompt=10, output=50, guess=3), admission.OverBudget)


async def test_a_repeated_request_gets_the_earlier_answer_though_its_bound_no_longer_fits(org: Org) -> None:
    await org.policy(tokens=160)
    first = await org.reserve("same", prompt=100, output=50, guess=30)
    again = await org.reserve("same", prompt=100, output=50, guess=30)
    assert isinstance(first, Admitted)
    assert isinstance(again, Admitted)
    assert again.held == first.held


async def test_what_a_template_adds_is_held_for_each_prompt(org: Org) -> None:
    await overhead(org, 40)
    assert (await org.held())[1].held == 190
    assert (await org.held(prompts=3))[1].held == 100 + 120 + 50
    assert (await org.held(prompts=3, output=admission.NO_OUTPUT))[1].held == 220
    await org.policy(estimate=1)
    _, admitted = await org.held(prompt=100, guess=30)
    assert (admitted.held, admitted.risk) == (120, 70)


async def test_a_tokenizer_holds_nothing_whatever_the_template_adds(org: Org) -> None:
    await overhead(org, 40)
    assert (await org.held(prompt=0, output=admission.NO_TOKENS))[1].held == 0


async def test_no_more_is_held_than_an_engine_can_write(org: Org) -> None:
    _, admitted = await org.held(n=65_536, output=2**31 - 1)
    assert admitted.output == 2**31 - 1
    assert admitted.held == 100 + 65_536 * ROUTE.context_length < 2**53

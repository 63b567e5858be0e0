"""What lets a gateway begin with the next request before it is let in: room for a hundred more in every limit."""

from typing import Any

import msgspec
import pytest

from ias.contract import admission, catalogue
from ias.contract.admission import Admitted, Ask, Rate
from tests.integration.contract.ground import ROUTE, Org
from tests.integration.contract.test_key_rules import ruled

MANY = 100
HELD = 150
"""Of the ground's requests: a prompt of 100 and an output of 50."""
USUAL = ROUTE.max_output_tokens
ENOUGH = {
    "tokens": MANY * HELD,
    "udef": MANY * HELD,
    "conc": MANY,
    "uconc": MANY,
    "burst": MANY + 1,
    "uburst": MANY + 1,
    "tpm": (MANY + 1) * HELD,
    "utpm": (MANY + 1) * HELD,
}
"""What each limit must be: of a rate, this request is taken first."""
BESIDE: dict[str, dict[str, int]] = {"burst": {"rps": 1}, "uburst": {"urps": 1}}


async def usual(org: Org, **ask: Any) -> int:
    """What the answer to one request says."""
    _, admitted = await org.held(**ask)
    return admitted.usual


async def test_without_limits_the_usual_output_limit_is_told(org: Org) -> None:
    assert [await usual(org) for _ in range(3)] == [USUAL] * 3


@pytest.mark.parametrize("limit", ENOUGH)
async def test_it_is_told_with_room_for_a_hundred_more_and_not_with_less(org: Org, limit: str) -> None:
    await org.policy(**BESIDE.get(limit, {}), **{limit: ENOUGH[limit] - 1})
    assert await usual(org) == -1
    other = await Org(org.edge).whole(**BESIDE.get(limit, {}), **{limit: ENOUGH[limit]})
    assert await usual(other) == USUAL
    # What was taken is missing.
    assert await usual(other) == -1


@pytest.mark.parametrize("limit", ["tpm", "tokens"])
async def test_a_larger_request_needs_more_room(org: Org, limit: str) -> None:
    await org.policy(**{limit: 3 * ENOUGH[limit]})
    assert await usual(org) == USUAL
    assert await usual(org, prompt=1000) == -1


async def test_one_narrow_limit_is_enough_to_be_asked_first(org: Org) -> None:
    await org.policy(rps=10_000, burst=10_000, urps=5, uburst=5, tpm=10**9)
    assert await usual(org) == -1


async def test_the_cap_of_a_key_is_a_limit_too(org: Org) -> None:
    await ruled(org, 2, monthly_tokens=MANY * HELD - 1)
    assert await usual(org) == -1
    await ruled(org, 3, monthly_tokens=(MANY + 1) * HELD)
    assert await usual(org) == USUAL
    assert await usual(org) == -1


async def test_the_policys_cap_and_the_context_bound_what_is_usual(org: Org) -> None:
    await org.policy(cap=7)
    assert await usual(org) == 7
    short = msgspec.structs.replace(ROUTE, context_length=100)
    await org.project("routes", {"llama": catalogue.encode_route(short)})
    await org.policy()
    assert await usual(org) == 99


async def test_what_asks_for_no_limit_gets_just_what_was_told(org: Org) -> None:
    for _ in range(2):
        _, admitted = await org.held(output=0)
        assert (admitted.output, admitted.usual) == (USUAL, USUAL)


async def test_with_rates_what_headers_tell_comes_with_it(org: Org) -> None:
    await org.policy(rps=10_000, burst=10_000)
    _, admitted = await org.held()
    assert (admitted.usual, admitted.tokens) == (USUAL, Rate(-1, -1, 0))
    assert (admitted.requests.limit, admitted.requests.remaining) == (10_000, 9_999)


async def test_a_gateway_of_the_release_before_is_told_nothing_that_it_does_not_know(org: Org) -> None:
    ask = Ask("llama", 100, 1, 50, "/v1/chat/completions", streamed=False)
    packed = admission.reservation(org.record.fingerprint, "before", ask, ("gw", 30))
    *before, _ = msgspec.msgpack.decode(packed)
    call = ("FCALL", "ias_reserve_packed", 1, admission.slot(org.tag), msgspec.msgpack.encode(before))
    reply = await org.edge.call(call)
    assert len(reply) == 8
    admitted = admission.read_reserve(reply)
    assert isinstance(admitted, Admitted)
    assert admitted.usual == -1

"""What the Function library remembers of a projection never outlives it; and what holds tokens in unusual ways."""

import msgspec

from ias.contract import admission, catalogue, keys
from ias.contract.admission import NO_OUTPUT, NO_TOKENS, Admitted
from ias.edge import Edge, KeyRecord
from tests.integration.contract.ground import FREE, KEY, ORG, ROUTE, USER, Org

MORE_THAN_ARE_REMEMBERED = 1_050


async def test_each_projection_counts_from_the_next_request_on(org: Org) -> None:
    assert isinstance(await org.reserve(), Admitted)
    for limits, refused in (({"tokens": 1}, True), ({}, False), ({"udef": 1}, True), ({f"u:{USER}": 1}, True)):
        await org.policy(**limits)
        assert isinstance(await org.reserve(), admission.OverBudget) is refused, limits
    await org.policy(**{f"u:{USER}": 10_000, "udef": 1})
    assert isinstance(await org.reserve(), Admitted)
    await org.project("routes", {"other": catalogue.encode_route(ROUTE)})
    assert await org.reserve() == admission.UnknownModel(("other",))
    assert isinstance(await org.reserve(model="other"), Admitted)
    await org.project("org", {"id": ORG, "st": "active", f"x:{USER}": "1"})
    assert await org.reserve(model="other") == admission.Suspended("user")


async def test_a_redis_that_was_emptied_and_filled_again_forgets_what_was_before(org: Org, edge: Edge) -> None:
    await org.policy(tokens=1)
    assert isinstance(await org.reserve(), admission.OverBudget)
    for name in ("v", "org", "pol", "routes"):
        await edge.redis.delete(f"{{o:{org.tag}}}:{name}")
    assert await org.reserve() == admission.NotReady(unknown_org=False)
    org.version = 0
    await org.whole(tokens=1_000_000)
    assert isinstance(await org.reserve(), Admitted)


async def test_more_organisations_than_are_remembered_are_each_admitted_by_their_own_limits(edge: Edge) -> None:
    """Every second one has no tokens."""
    tags = [keys.new_tag() for _ in range(MORE_THAN_ARE_REMEMBERED)]
    record = KeyRecord("0" * 64, KEY, USER)
    route = {"llama": catalogue.encode_route(ROUTE)}
    setup: list[admission.Command] = []
    for place, tag in enumerate(tags):
        setup += [
            admission.project(tag, "org", 1, {"id": ORG, "st": "active"}),
            admission.project(tag, "pol", 1, {**FREE, "tokens": -1 if place % 2 else 0}),
            admission.project(tag, "routes", 1, route),
            admission.grant(tag, record.fingerprint, 1, (KEY, USER), None),
            admission.complete(tag),
        ]
    await edge.calls(setup)
    ask = admission.Ask("llama", 10, 1, 10, "/v1/chat/completions", streamed=False)
    for turn in range(2):
        calls = [admission.reserve(tag, record.fingerprint, f"r{turn}", ask, ("gw", 30)) for tag in tags]
        answers = [admission.read_reserve(answer) for answer in await edge.calls(calls)]  # type: ignore[arg-type]
        assert [isinstance(answer, Admitted) for answer in answers] == [place % 2 == 1 for place in range(len(tags))]


async def test_what_holds_nothing_passes_a_used_up_budget_but_not_a_used_up_rate(org: Org) -> None:
    await org.held(prompt=200)
    await org.policy(tokens=100, rps=1, burst=1)
    assert isinstance(await org.reserve(prompt=0, output=NO_OUTPUT), admission.OverBudget)
    request_id, admitted = await org.held(prompt=0, output=NO_TOKENS)
    assert admitted.held == 0
    refused = await org.reserve(prompt=0, output=NO_TOKENS)
    while isinstance(refused, Admitted):  # a machine that stalls for a second lets one more in
        refused = await org.reserve(prompt=0, output=NO_TOKENS)
    assert isinstance(refused, admission.OverRate)
    assert await org.settle(request_id, admitted, 0, 0) == b"ok"
    assert (await org.budget())[0] == 0


async def test_images_are_held_as_the_tokens_that_the_route_says(org: Org) -> None:
    assert await org.reserve(images=1) == admission.NoImages()
    await org.project("routes", {"llama": catalogue.encode_route(msgspec.structs.replace(ROUTE, image_tokens=1000))})
    _, admitted = await org.held(images=3)
    assert admitted.held == 100 + 50 + 3 * 1000

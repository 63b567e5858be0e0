"""Which replica is chosen, from what is under way and how it has fared."""

from collections import Counter

from ias.contract.catalogue import ModelRoute, encode_route
from ias_gateway import routing
from ias_gateway.routing import Routing

URLS = tuple(f"http://10.0.0.{number}:8000" for number in range(4))
ROUTE = ModelRoute(name="m", model_id="id", upstream_name="m", replicas=URLS)


async def test_equal_beginnings_go_to_one_replica_and_different_ones_to_all() -> None:
    chooser = Routing()
    assert len({chooser.choose(ROUTE, (), b"the same").url for _ in range(50)}) == 1
    spread = Counter(chooser.choose(ROUTE, (), b"prompt %d" % number).url for number in range(4_000))
    assert set(spread) == set(URLS)
    assert min(spread.values()) > 800


async def test_a_replica_that_goes_away_moves_only_its_own_beginnings() -> None:
    chooser = Routing()
    fewer = ModelRoute(name="m", model_id="id", upstream_name="m", replicas=URLS[:3])
    for number in range(500):
        before = chooser.choose(ROUTE, (), b"prompt %d" % number).url
        after = chooser.choose(fewer, (), b"prompt %d" % number).url
        assert after == before or before == URLS[3]


async def test_a_beginning_that_everybody_shares_is_spread_by_load() -> None:
    chooser = Routing()
    for _ in range(40):
        chooser.choose(ROUTE, (), b"the same").outstanding += 1
    loads = [chooser.choose(ROUTE, URLS[:place] + URLS[place + 1 :], b"").outstanding for place in range(4)]
    assert sum(loads) == 40
    assert max(loads) <= 40 * routing.LOAD_BOUND / 4 + 1


async def test_what_was_tried_is_not_chosen_again() -> None:
    chooser = Routing()
    assert chooser.choose(ROUTE, URLS[:3], b"x").url == URLS[3]
    assert chooser.choose(ROUTE, URLS, b"x") is None


async def test_a_replica_that_fails_five_times_rests_and_comes_back() -> None:
    chooser = Routing()
    ill = chooser.choose(ROUTE, (), b"x")
    for _ in range(routing.FAILURES_TO_EJECT - 1):
        ill.failed()
    assert chooser.choose(ROUTE, (), b"x") is ill
    ill.failed()
    assert chooser.choose(ROUTE, (), b"x") is not ill
    ill.ejected_until = 0.0
    ill.succeeded()
    assert chooser.choose(ROUTE, (), b"x") is ill


async def test_the_last_replica_and_more_than_half_never_rest() -> None:
    chooser = Routing()
    alone = ModelRoute(name="m", model_id="id", upstream_name="m", replicas=URLS[:1])
    for url in URLS:
        replica = chooser.choose(ROUTE, [other for other in URLS if other != url], b"")
        for _ in range(routing.FAILURES_TO_EJECT):
            replica.failed()
    assert chooser.choose(alone, (), b"x").url == URLS[0]
    assert len({chooser.choose(ROUTE, (), b"prompt %d" % number).url for number in range(100)}) == 4


async def test_a_route_is_decoded_once() -> None:
    chooser = Routing()
    encoded = encode_route(ROUTE)
    assert chooser.route(encoded) is chooser.route(encoded) == ROUTE

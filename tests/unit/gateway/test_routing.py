"""Which replica is chosen, from what is under way, how it has fared, and what it says of itself."""

from collections import Counter
from math import ceil

import pytest

from ias.contract.catalogue import ModelRoute, encode_route
from ias_gateway import routing
from ias_gateway.routing import Replica, Routing
from ias_gateway.served import Served
from ias_gateway.telemetry import Metrics

URLS = tuple(f"http://10.0.0.{number}:8000" for number in range(4))
PROMPTS = [b"prompt %d" % number for number in range(200)]


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(routing, "monotonic", clock)
    return clock


def told(*urls: str) -> ModelRoute:
    """A route as admission tells it."""
    return ModelRoute(name="m", model_id="id", upstream_name="m", replicas=urls)


def route_to(*urls: str) -> Served:
    return Served(told(*urls))


def facts_of(served: Served) -> tuple[object, ...]:
    return served.name, served.upstream_name, served.replicas, served.tenant_salt


ROUTE = route_to(*URLS)


def chosen(chooser: Routing, beginning: bytes = b"x", route: Served = ROUTE, tried: tuple[str, ...] = ()) -> Replica:
    replica = chooser.choose(route, tried, beginning)
    assert replica is not None
    return replica


def replicas(chooser: Routing) -> list[Replica]:
    return [chosen(chooser, tried=tuple(other for other in URLS if other != url)) for url in URLS]


def in_use(chooser: Routing) -> set[str]:
    return {chosen(chooser, prompt).url for prompt in PROMPTS}


def eject(*ill: Replica) -> None:
    for replica in ill:
        for _ in range(routing.FAILURES_TO_EJECT):
            replica.failed()


async def test_equal_beginnings_go_to_one_replica_and_different_ones_to_all() -> None:
    chooser = Routing()
    assert len({chosen(chooser, b"the same").url for _ in range(50)}) == 1
    spread = Counter(chosen(chooser, b"prompt %d" % number).url for number in range(4_000))
    assert set(spread) == set(URLS)
    assert min(spread.values()) > 850
    assert max(spread.values()) < 1150


@pytest.mark.parametrize("number", [2, 3, 5, 8, 16])
async def test_any_number_of_replicas_gets_even_shares(number: int) -> None:
    chooser = Routing()
    route = route_to(*(f"http://engine-{place}.inference.svc:8000" for place in range(number)))
    spread = Counter(chosen(chooser, b"org%d" % each, route).url for each in range(1000 * number))
    assert len(spread) == number
    assert min(spread.values()) > 850
    assert max(spread.values()) < 1150


async def test_two_gateways_choose_alike() -> None:
    one, other = Routing(), Routing()
    assert [chosen(one, prompt).url for prompt in PROMPTS] == [chosen(other, prompt).url for prompt in PROMPTS]


async def test_a_replica_that_goes_away_moves_only_its_own_beginnings() -> None:
    chooser = Routing()
    fewer = route_to(*URLS[:3])
    for prompt in PROMPTS:
        before = chosen(chooser, prompt).url
        after = chosen(chooser, prompt, fewer).url
        assert after == before or before == URLS[3]


async def test_a_beginning_that_everybody_shares_is_spread_by_load() -> None:
    chooser = Routing()
    for _ in range(400):
        chosen(chooser, b"the same").outstanding += 1
    loads = [replica.outstanding for replica in replicas(chooser)]
    assert sum(loads) == 400
    assert max(loads) <= ceil(400 * routing.LOAD_BOUND / 4)


async def test_a_replica_with_little_under_way_is_not_left_for_an_idle_one() -> None:
    chooser = Routing()
    first = chosen(chooser, b"the same")
    first.outstanding = routing.NEVER_BUSY - 1
    assert chosen(chooser, b"the same") is first
    first.outstanding += 1
    assert chosen(chooser, b"the same") is not first


async def test_what_other_gateways_have_on_a_replica_counts() -> None:
    chooser = Routing()
    first = chosen(chooser, b"the same")
    first.outstanding = 3
    first.looked_at(up=True, under_way=40)
    assert (first.elsewhere, first.load) == (37, 40)
    assert chosen(chooser, b"the same") is not first
    first.looked_at(up=True, under_way=2)  # what was just sent is not in the engine's figures yet
    assert (first.elsewhere, first.load) == (0, 3)
    assert chosen(chooser, b"the same") is first


async def test_what_was_tried_is_not_chosen_again() -> None:
    chooser = Routing()
    assert chosen(chooser, tried=URLS[:3]).url == URLS[3]
    assert chooser.choose(ROUTE, URLS, b"x") is None
    assert chooser.choose(route_to(URLS[0]), URLS[:1], b"x") is None
    assert chooser.choose(route_to(), (), b"x") is None


async def test_a_replica_that_is_named_twice_is_one() -> None:
    chooser = Routing()
    twice = route_to(URLS[0], URLS[0])
    assert chosen(chooser, route=twice).url == URLS[0]
    assert chooser.choose(twice, URLS[:1], b"x") is None


async def test_a_replica_that_fails_five_times_in_a_row_rests_and_comes_back(clock: Clock) -> None:
    chooser = Routing()
    ill = chosen(chooser)
    for _ in range(3):
        for _ in range(routing.FAILURES_TO_EJECT - 1):
            ill.failed()
        ill.succeeded()
    assert chosen(chooser) is ill
    eject(ill)
    assert chosen(chooser) is not ill
    clock.now += routing.EJECTION_S - 0.1
    assert chosen(chooser) is not ill
    clock.now += 0.2
    assert chosen(chooser) is ill
    assert ill.ejections == 1


async def test_each_rest_in_a_row_is_longer_up_to_a_bound(clock: Clock) -> None:
    chooser = Routing()
    ill = chosen(chooser)
    for number in range(1, 41):
        eject(ill)
        assert ill.ejected_until - clock.now == min(routing.EJECTION_S * number, routing.MAX_EJECTION_S)
        clock.now = ill.ejected_until
    ill.succeeded()
    eject(ill)
    assert ill.ejected_until - clock.now == routing.EJECTION_S


async def test_what_fails_while_it_rests_does_not_make_the_rest_longer(clock: Clock) -> None:
    ill = chosen(Routing())
    eject(ill, ill, ill)
    assert (ill.ejections, ill.ejected_until) == (1, clock.now + routing.EJECTION_S)


async def test_at_most_half_of_the_replicas_rest_and_the_soonest_to_come_back_help_out(clock: Clock) -> None:
    chooser = Routing()
    for replica, left in zip(replicas(chooser), (3, 2, 2, 2), strict=True):
        eject(replica)
        clock.now += 1
        assert len(in_use(chooser)) == left
    assert in_use(chooser) == {URLS[0], URLS[1]}


async def test_the_last_replica_never_rests(clock: Clock) -> None:
    chooser = Routing()
    alone = route_to(URLS[0])
    eject(chosen(chooser, route=alone))
    assert chosen(chooser, route=alone).url == URLS[0]
    pair = route_to(*URLS[:2])
    for url in URLS[:2]:
        eject(chosen(chooser, route=pair, tried=tuple(other for other in URLS[:2] if other != url)))
    assert chosen(chooser, route=pair).url in URLS[:2]


async def test_a_replica_that_rests_still_takes_what_all_others_failed(clock: Clock) -> None:
    chooser = Routing()
    pair = route_to(*URLS[:2])
    ill = chosen(chooser, route=pair)
    eject(ill)
    well = chosen(chooser, route=pair)
    assert well is not ill
    assert chosen(chooser, route=pair, tried=(well.url,)) is ill


async def test_a_replica_that_says_it_is_ill_is_out_at_once_and_back_at_once() -> None:
    chooser = Routing()
    ill = chosen(chooser)
    ill.looked_at(up=False, under_way=0)
    assert ill.url not in in_use(chooser)
    assert len(in_use(chooser)) == 3
    ill.looked_at(up=True, under_way=0)
    assert chosen(chooser) is ill


async def test_all_but_one_may_be_ill_and_then_that_one_serves() -> None:
    chooser = Routing()
    all_of_them = replicas(chooser)
    for replica in all_of_them[:3]:
        replica.looked_at(up=False, under_way=0)
    assert in_use(chooser) == {URLS[3]}
    assert chooser.choose(ROUTE, (URLS[3],), b"x") is None  # what is down is not tried
    all_of_them[3].looked_at(up=False, under_way=0)
    assert in_use(chooser) == set(URLS)  # perhaps it is the looking that is broken


async def test_one_replica_in_two_routes_is_ill_in_both() -> None:
    chooser = Routing()
    other = route_to(*URLS[:2])
    ill = chosen(chooser, route=other)
    assert chosen(chooser, tried=tuple(url for url in URLS if url != ill.url)) is ill
    ill.looked_at(up=False, under_way=0)
    assert chosen(chooser, route=other) is not ill
    assert ill.url not in in_use(chooser)


async def test_only_replicas_that_have_others_beside_them_are_looked_at() -> None:
    chooser = Routing()
    chosen(chooser, route=route_to(URLS[0]))
    assert chooser.shared() == []
    chosen(chooser, route=route_to(*URLS[1:3]))
    chosen(chooser, route=route_to(*URLS[2:]))
    assert [replica.url for replica in chooser.shared()] == list(URLS[1:])


async def test_a_policy_of_ones_own_is_asked_where_there_is_a_choice() -> None:
    asked = []

    def last(usable: list[Replica], beginning: bytes) -> Replica:
        asked.append(beginning)
        return usable[-1]

    chooser = Routing(last)
    assert chosen(chooser, b"a").url == URLS[3]
    assert chosen(chooser, b"b", route_to(URLS[0])).url == URLS[0]
    assert asked == [b"a"]


async def test_the_metrics_say_how_each_replica_is(clock: Clock) -> None:
    chooser, metrics = Routing(), Metrics()
    first = chosen(chooser)
    first.outstanding = 3
    eject(first)
    first.looked_at(up=False, under_way=0)
    chooser.tell(metrics)
    text = metrics.exposition().decode()
    assert f'ias_gateway_replica_up{{replica="{first.url}"}} 0' in text
    assert f'ias_gateway_replica_outstanding{{replica="{first.url}"}} 3' in text
    assert f'ias_gateway_replica_ejections_total{{replica="{first.url}"}} 1' in text
    assert text.count("ias_gateway_replica_up{") == 4


async def test_what_nobody_calls_any_longer_is_forgotten_with_its_metrics(clock: Clock) -> None:
    chooser, metrics = Routing(), Metrics()
    kept, slow = route_to(*URLS[:2]), route_to("http://10.0.0.9:8000")
    busy = chosen(chooser, route=slow)
    busy.outstanding = 1
    old = chosen(chooser)
    for _ in range(3):
        chosen(chooser, route=kept)
        chooser.tell(metrics)
        chooser.forget_unused(metrics)
        clock.now += routing.FORGET_AFTER_S * 0.9
    assert [replica.url for replica in chooser.shared()] == list(URLS[:2])
    assert {url for (url,) in metrics.replica_up.values} == {*URLS[:2], busy.url}
    assert chosen(chooser, route=slow) is busy
    assert (chosen(chooser) is old) == (old.url in URLS[:2])


async def test_a_route_is_decoded_once() -> None:
    chooser = Routing()
    encoded = encode_route(told(*URLS))
    assert chooser.route("m", encoded) is chooser.route("m", encode_route(told(*URLS)))
    assert facts_of(chooser.route("m", encoded)) == facts_of(ROUTE) == ("m", "m", URLS, True)


async def test_a_route_that_has_changed_is_decoded_anew() -> None:
    chooser = Routing()
    changed = told("http://10.1.0.1:1")
    for route in (told(*URLS), changed, told(*URLS)):
        assert chooser.route("m", encode_route(route)).replicas == route.replicas


async def test_the_memory_of_routes_is_bounded() -> None:
    chooser = Routing()
    first = chooser.route("m", encode_route(told(*URLS)))
    for number in range(4096):
        chooser.route(f"m{number}", encode_route(told(*URLS)))
    assert chooser.route("m", encode_route(told(*URLS))) is not first
    assert facts_of(chooser.route("m", encode_route(told(*URLS)))) == facts_of(first)

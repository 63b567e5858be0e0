"""Rates to the microsecond, by a clock that the test drives, against fractions that are never rounded."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import takewhile
from math import ceil, floor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ias.contract import admission, keys
from ias.contract.admission import NO_OUTPUT, Admitted, Ask, OverRate, Rate
from ias.contract.catalogue import encode_route
from tests.integration.contract.driven import Table
from tests.integration.contract.ground import FREE, ORG, ROUTE
from tests.services import Service

MODEL, FINGERPRINT, KEY, USER = "llama", "f" * 64, "key", "user"
SECOND, MINUTE = 1_000_000, 60_000_000
OFTEN = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@dataclass
class Bucket:
    """A leaky bucket in fractions. Time is in µs."""

    rate: int
    period: int
    size: int
    debt: Fraction = Fraction()
    at: int = 0

    def leak(self, us: int) -> None:
        self.debt = max(Fraction(), self.debt - Fraction((us - self.at) * self.rate, self.period))
        self.at = us

    def wait_us(self, cost: int) -> Fraction:
        return (self.debt + cost - self.size) * self.period / self.rate if cost else Fraction()

    def told(self) -> Rate:
        reset = self.debt * self.period / self.rate / 1000
        return Rate(self.size, max(0, floor(self.size - self.debt)), ceil(reset))


@dataclass
class Limits:
    """What is allowed, and the buckets of it."""

    policy: dict[str, int]
    requests: dict[str, Bucket] = field(default_factory=dict)
    tokens: dict[str, Bucket] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for scope, prefix in (("organisation", ""), ("user", "u")):
            rate, tokens = self.policy.get(f"{prefix}rps", -1), self.policy.get(f"{prefix}tpm", -1)
            if rate > 0:
                self.requests[scope] = Bucket(rate, SECOND, self.policy[f"{prefix}burst"])
            if tokens > 0:
                self.tokens[scope] = Bucket(tokens, MINUTE, tokens)

    def leak(self, us: int) -> None:
        for bucket in (*self.requests.values(), *self.tokens.values()):
            bucket.leak(us)

    def wait_ms(self, tokens: int) -> int:
        waits = [bucket.wait_us(1) for bucket in self.requests.values()]
        waits += [bucket.wait_us(tokens) for bucket in self.tokens.values()]
        return max(0, *(ceil(wait / 1000) for wait in waits))

    def take(self, tokens: int) -> None:
        for bucket in self.requests.values():
            bucket.debt += 1
        for bucket in self.tokens.values():
            bucket.debt += tokens


def repeatedly(call: Callable[[], tuple[str, object]]) -> Iterator[tuple[str, object]]:
    while True:
        yield call()


def narrower(buckets: dict[str, Bucket]) -> Rate:
    """The one that speaks: fewer are left, or it takes longer until it is full."""
    rates = [bucket.told() for bucket in buckets.values()]
    return min(rates, key=lambda rate: (rate.remaining, -rate.reset_ms), default=Rate(-1, -1, 0))


@dataclass
class Tenant:
    """One organisation on a Redis that the test has for itself."""

    table: Table
    tag: str = ""
    made: int = 0

    def limit(self, **policy: int) -> None:
        self.made += 1
        self.table.call(admission.project(self.tag, "pol", self.made, {**FREE, **policy}))

    def reserve(self, prompt: int = 1, output: int = NO_OUTPUT, n: int = 1) -> tuple[str, Admitted | OverRate]:
        self.made += 1
        ask = Ask(MODEL, prompt, n, output, "/v1/embeddings", streamed=False)
        call = admission.reserve(self.tag, FINGERPRINT, f"r{self.made}", ask, ("gw", 30))
        answer = admission.read_reserve(self.table.call(call))
        assert isinstance(answer, Admitted | OverRate), answer
        return f"r{self.made}", answer

    def settle(self, request_id: str, admitted: Admitted, prompt: int, completion: int = 0) -> None:
        call = admission.settle(self.tag, request_id, (prompt, completion, 0), ("completed", False), b"{}")
        assert self.table.call((*call, *admission.holder_of(admitted, "gw")))[0] == b"ok"

    def told(self) -> dict[tuple[str, str], admission.Standing]:
        answer = admission.read_limits(self.table.call(admission.limits(self.tag, FINGERPRINT)))
        assert isinstance(answer, tuple)
        assert answer[1] == ceil(self.table.us / 1000)
        return {(standing.kind, standing.scope): standing for standing in answer[2]}

    def begin(self) -> "Tenant":
        self.table.begin()
        self.tag = keys.new_tag()
        routes = {MODEL: encode_route(ROUTE)}
        for section, fields in (("org", {"id": ORG, "st": "active"}), ("routes", routes)):
            self.table.call(admission.project(self.tag, section, 1, fields))
        self.table.call(admission.grant(self.tag, FINGERPRINT, 1, (KEY, USER), None))
        self.limit()
        self.table.call(admission.complete(self.tag))
        return self


@pytest.fixture(scope="module")
def table(server: Service) -> Iterator[Table]:
    table = Table(server.url)
    yield table
    table.close()


@pytest.fixture
def tenant(table: Table) -> Tenant:
    return Tenant(table).begin()


RATES = st.sampled_from((1, 2, 3, 6, 7, 50, 333, 1_000, 7_001))
TOKENS = st.sampled_from((60, 61, 700, 9_973, 60_000, 1_000_003))
POLICIES = st.fixed_dictionaries(
    {"rps": RATES, "urps": st.one_of(st.just(-1), RATES), "tpm": st.one_of(st.just(-1), TOKENS), "utpm": TOKENS},
).flatmap(
    lambda policy: st.fixed_dictionaries(
        {
            "burst": st.integers(policy["rps"], policy["rps"] + 20),
            "uburst": st.integers(max(1, policy["urps"]), max(1, policy["urps"]) + 20),
        }
    ).map(lambda bursts: policy | bursts)
)
WAITS = st.one_of(st.integers(0, 5_000), st.integers(0, 2 * SECOND), st.integers(0, 70 * SECOND))
COSTS = st.one_of(st.integers(0, 60), st.integers(1, 3))


@OFTEN
@given(policy=POLICIES, steps=st.lists(st.tuples(WAITS, COSTS, st.integers(1, 12)), min_size=1, max_size=12))
def test_what_is_told_is_true_to_the_millisecond(
    tenant: Tenant, policy: dict[str, int], steps: list[tuple[int, int, int]]
) -> None:
    tenant.begin().limit(**policy)
    limits = Limits(policy)
    for wait, cost, times in steps:
        tenant.table.advance(wait)
        for _ in range(times):
            limits.leak(tenant.table.us)
            _, answer = tenant.reserve(cost)
            if isinstance(answer, OverRate):
                assert answer.wait_ms == limits.wait_ms(cost) > 0
            else:
                assert limits.wait_ms(cost) == 0
                limits.take(cost)
            assert answer.requests == narrower(limits.requests)
            assert answer.tokens == narrower(limits.tokens)
            _agree(tenant, limits)


def _agree(tenant: Tenant, limits: Limits) -> None:
    """`/v1/usage/limits` says the same as the headers, of each bucket."""
    told = tenant.told()
    for kind, buckets in (("requests", limits.requests), ("tokens", limits.tokens)):
        for scope in ("organisation", "user"):
            standing = told[kind, scope]
            if scope in buckets:
                rate = buckets[scope].told()
                assert (standing.limit, standing.reset_ms) == (rate.limit, rate.reset_ms)
                assert standing.limit - standing.used == rate.remaining
                assert standing.rate == buckets[scope].rate
            else:
                assert standing.limit == -1


@OFTEN
@given(policy=POLICIES, costs=st.lists(st.tuples(WAITS, COSTS, COSTS), min_size=5, max_size=40))
def test_who_comes_back_when_told_is_let_in_and_a_millisecond_sooner_is_not(
    tenant: Tenant, policy: dict[str, int], costs: list[tuple[int, int, int]]
) -> None:
    """Whatever was taken and given back before."""
    tenant.begin().limit(**policy)
    for wait, cost, used in costs:
        tenant.table.advance(wait % 50_000)
        request_id, answer = tenant.reserve(cost)
        if isinstance(answer, Admitted):
            if used < cost:
                tenant.settle(request_id, answer, used)
            continue
        sooner = (answer.wait_ms - 1) * 1000
        tenant.table.advance(sooner)
        assert isinstance(tenant.reserve(cost)[1], OverRate)
        tenant.table.advance(1000)
        assert isinstance(tenant.reserve(cost)[1], Admitted)


@pytest.mark.parametrize("rate", [1, 3, 6, 7, 333, 1_001])
def test_no_fraction_of_a_request_is_lost_or_won_however_a_second_divides(tenant: Tenant, rate: int) -> None:
    tenant.limit(rps=rate, burst=rate)

    def admitted() -> int:
        return sum(1 for _ in takewhile(lambda answer: isinstance(answer[1], Admitted), repeatedly(tenant.reserve)))

    assert admitted() == rate
    come = 0
    for _ in range(1_000):
        tenant.table.advance(1_000)
        come += admitted()
    assert come == rate


def test_the_bucket_that_makes_one_wait_longest_says_how_long(tenant: Tenant) -> None:
    tenant.limit(rps=10, burst=1, uburst=1, urps=1, tpm=60, utpm=-1)
    assert isinstance(tenant.reserve(40)[1], Admitted)
    _, refused = tenant.reserve(30)
    assert isinstance(refused, OverRate)
    assert (refused.kind, refused.scope, refused.wait_ms) == ("tokens", "organisation", 10_000)
    _, refused = tenant.reserve(1)
    assert isinstance(refused, OverRate)
    assert (refused.kind, refused.scope, refused.wait_ms) == ("requests", "user", 1_000)


def test_of_two_that_have_nothing_left_the_one_that_takes_longer_speaks(tenant: Tenant) -> None:
    tenant.limit(rps=10, burst=1, urps=1, uburst=1)
    _, admitted = tenant.reserve()
    assert isinstance(admitted, Admitted)
    assert admitted.requests == Rate(1, 0, 1_000)


def test_what_was_held_for_a_minute_is_not_given_back_twice(tenant: Tenant) -> None:
    """Time has given it back already: streams that end after long do not add up to a burst."""
    tenant.limit(tpm=60)
    held = []
    for _ in range(5):
        held.append(tenant.reserve(60))
        tenant.table.advance(MINUTE)
    for request_id, admitted in held:
        assert isinstance(admitted, Admitted)
        tenant.settle(request_id, admitted, 0)
        tenant.reserve(60)
    taken = tenant.told()["tokens", "organisation"]
    assert (taken.limit, taken.used) == (60, 60)
    assert sum(isinstance(tenant.reserve(1)[1], Admitted) for _ in range(10)) == 0


def test_what_is_not_used_comes_back_at_once(tenant: Tenant) -> None:
    tenant.limit(tpm=60)
    request_id, admitted = tenant.reserve(60)
    assert isinstance(admitted, Admitted)
    tenant.settle(request_id, admitted, 7)
    assert tenant.told()["tokens", "organisation"].used == 7


def test_what_is_used_beyond_what_was_held_is_taken_too(tenant: Tenant) -> None:
    tenant.limit(tpm=60, utpm=600)
    request_id, admitted = tenant.reserve(10)
    assert isinstance(admitted, Admitted)
    tenant.settle(request_id, admitted, 100)
    _, refused = tenant.reserve(1)
    assert isinstance(refused, OverRate)
    assert refused.wait_ms == 41_000


@pytest.mark.parametrize(("before", "after"), [(6_000, 60), (-1, 60), (60, 6_000)])
def test_a_refund_goes_by_the_rate_that_was_in_force(tenant: Tenant, before: int, after: int) -> None:
    """A policy that changes meanwhile neither wins nor loses tokens of others."""
    tenant.limit(tpm=before)
    request_id, admitted = tenant.reserve(50)
    assert isinstance(admitted, Admitted)
    tenant.limit(tpm=after)
    tenant.table.advance(MINUTE)
    assert isinstance(tenant.reserve(60)[1], Admitted)
    tenant.settle(request_id, admitted, 0)
    assert tenant.told()["tokens", "organisation"].used == 60


def test_what_costs_nothing_passes_a_bucket_that_is_empty(tenant: Tenant) -> None:
    tenant.limit(tpm=60)
    tenant.reserve(60)
    assert isinstance(tenant.reserve(0)[1], Admitted)
    tenant.limit(tpm=0)
    assert isinstance(tenant.reserve(0)[1], Admitted)


@pytest.mark.parametrize("rate", [150_000_000, 1_000_000_000, 1_000_000_000_000])
def test_very_large_rates_are_kept_to_a_thousandth(tenant: Tenant, rate: int) -> None:
    tenant.limit(tpm=rate)
    most = rate // 10
    for _ in range(10):
        tenant.table.advance(0)
        assert isinstance(tenant.reserve(most)[1], Admitted)
    _, refused = tenant.reserve(most)
    assert isinstance(refused, OverRate)
    assert abs(refused.wait_ms - 6_000) <= 6


@pytest.mark.parametrize(
    "limits", [{}, {"rps": 10, "burst": 10}, {"tpm": 600}, {"utpm": 600}, {"tpm": 600, "utpm": 600}]
)
@pytest.mark.parametrize("used", [20, 7, 30])
def test_who_is_under_way_is_counted_whatever_is_limited_besides(
    tenant: Tenant, limits: dict[str, int], used: int
) -> None:
    tenant.limit(uconc=2, **limits)
    for _ in range(2):
        held = [tenant.reserve(20) for _ in range(2)]
        _, refused = tenant.reserve(20)
        assert isinstance(refused, OverRate)
        assert (refused.kind, refused.scope) == ("concurrency", "user")
        for left, (request_id, admitted) in zip((1, 0), held, strict=True):
            assert isinstance(admitted, Admitted)
            tenant.settle(request_id, admitted, used)
            assert tenant.told()["concurrency", "user"].used == left

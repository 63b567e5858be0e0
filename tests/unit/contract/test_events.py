"""Usage events, facts and routes keep all that is put into them on their way through JSON."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ias.contract.catalogue import ModelRoute, decode_route, encode_route
from ias.contract.usage import Facts, Outcome, UsageRecorded, decode_batch, decode_facts, encode_batch, encode_facts

IDS = st.uuids()
TIMES = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis wants naive bounds
EVENTS = st.builds(
    UsageRecorded,
    request_id=IDS,
    line=st.integers(1, 9),
    period=st.just("203001"),
    organisation=IDS,
    user=IDS,
    key=IDS,
    model=st.text(),
    model_id=IDS,
    endpoint=st.text(),
    prompt_tokens=st.integers(-(2**53), 2**53),
    completion_tokens=st.integers(-(2**53), 2**53),
    cached_tokens=st.integers(-(2**53), 2**53),
    outcome=st.sampled_from(Outcome),
    estimated=st.booleans(),
    lower_bound=st.booleans(),
    started_at=TIMES,
    settled_at=TIMES,
    first_token_ms=st.none() | st.floats(0, 1e9),
)


@given(st.lists(EVENTS, max_size=3).map(tuple))
def test_a_batch_of_events_arrives_as_it_was_sent(batch: tuple[UsageRecorded, ...]) -> None:
    assert decode_batch(encode_batch(batch)) == batch


def test_the_least_that_a_sweeper_knows_is_enough_for_facts() -> None:
    facts = decode_facts(
        b'{"organisation":"o","user":"u","key":"k","model":"m","model_id":"i","endpoint":"/v1/x","started_at":1.5}'
    )
    assert facts == Facts(
        organisation="o", user="u", key="k", model="m", model_id="i", endpoint="/v1/x", started_at=1.5
    )
    assert decode_facts(encode_facts(facts)) == facts


def test_an_event_without_its_request_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        decode_batch(b'[{"line":1}]')


def test_an_outcome_is_the_word_that_the_ledger_keeps() -> None:
    assert [outcome.value for outcome in Outcome] == [str(outcome) for outcome in Outcome]
    assert Outcome("gateway_lost") is Outcome.GATEWAY_LOST


@given(
    st.builds(
        ModelRoute,
        name=st.text(),
        model_id=IDS.map(str),
        upstream_name=st.text(),
        replicas=st.lists(st.text()).map(tuple),
        context_length=st.integers(1, 10**7),
        max_output_tokens=st.integers(1, 10**7),
        tenant_salt=st.booleans(),
        image_tokens=st.integers(0, 10**6),
    )
)
def test_a_route_arrives_as_it_was_projected(route: ModelRoute) -> None:
    assert decode_route(encode_route(route)) == route


def test_a_route_always_tells_the_limits_that_the_function_library_reads() -> None:
    route = ModelRoute(name="m", model_id=str(UUID(int=1)), upstream_name="m", replicas=("http://a:1",))
    assert {"context_length", "max_output_tokens", "image_tokens", "model_id"} <= msgspec.json.decode(
        encode_route(route)
    ).keys()

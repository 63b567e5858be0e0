"""The metrics of several workers as one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ias_gateway.shared_metrics import FOLDS, Families, expose, lasting, parse, total
from ias_gateway.telemetry import Gauge, Metrics


def worker(requests: float, first_tokens: tuple[float, ...] = (), **gauges: float) -> Families:
    metrics = Metrics()
    metrics.requests.values[("/v1/chat/completions", "200")] = requests
    for seconds in first_tokens:
        metrics.first_token.observe(("m",), seconds)
    for name, value in gauges.items():
        getattr(metrics, name).values[()] = value
    return parse(metrics.exposition().decode())


def value(families: Families, sample: str) -> float:
    return families[sample.partition("{")[0]].samples[sample]


REQUESTS = 'ias_gateway_requests_total{endpoint="/v1/chat/completions",status="200"}'


def test_what_is_parsed_is_exposed_again_as_it_was() -> None:
    metrics = Metrics()
    metrics.tokens.values[('a "model" of\n{ours}, with\\all', "input")] = 123_456_789_012
    metrics.duration.observe(("m",), 0.1)
    metrics.open.values[()] = 3
    assert expose(parse(metrics.exposition().decode())) == metrics.exposition()


def test_counters_are_added_up_over_all_label_values() -> None:
    first, second = worker(3), worker(4)
    second["ias_gateway_requests_total"].samples["only-here"] = 2
    whole = total([first, second])
    assert value(whole, REQUESTS) == 7
    assert whole["ias_gateway_requests_total"].samples["only-here"] == 2


def test_histograms_are_added_up_bucket_by_bucket() -> None:
    whole = total([worker(0, (0.002, 0.3)), worker(0, (0.002,))])
    family = whole["gen_ai_server_time_to_first_token_seconds"].samples
    name = "gen_ai_server_time_to_first_token_seconds"
    assert family[f'{name}_bucket{{model="m",le="0.0025"}}'] == 2
    assert family[f'{name}_bucket{{model="m",le="+Inf"}}'] == 3
    assert family[f'{name}_count{{model="m"}}'] == 3
    assert family[f'{name}_sum{{model="m"}}'] == pytest.approx(0.304)


def test_gauges_are_added_up_but_for_those_of_which_the_worst_tells() -> None:
    whole = total([worker(0, open=2, redis_up=1, loop_lag=0.5), worker(0, open=3, redis_up=0, loop_lag=0.1)])
    assert value(whole, "ias_gateway_open_requests") == 5
    assert value(whole, "ias_gateway_redis_up") == 0
    assert value(whole, "ias_gateway_loop_lag_seconds") == 0.5


def test_every_gauge_that_is_not_added_up_exists() -> None:
    gauges = {metric.name for metric in vars(Metrics()).values() if isinstance(metric, Gauge)}
    assert set(FOLDS) < gauges


def test_counts_beyond_six_digits_keep_the_last_one() -> None:
    assert f"{REQUESTS} 12345679\n" in expose(total([worker(12_345_678), worker(1)])).decode()


def test_of_a_worker_that_ended_counters_and_histograms_stay() -> None:
    stays = lasting(worker(3, (0.1,), open=7))
    assert value(stays, REQUESTS) == 3
    assert value(total([stays, worker(2, (0.1,), open=1)]), REQUESTS) == 5
    assert value(total([stays, worker(2, open=1)]), "ias_gateway_open_requests") == 1
    assert "gen_ai_server_time_to_first_token_seconds" in stays


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 1000), min_size=1, max_size=4), min_size=1, max_size=4))
def test_the_sum_never_falls_whatever_dies(lives: list[list[int]]) -> None:
    """Each inner list is what one worker's lives, one after another, counted; each is seen half way and at its end."""
    gone: list[Families] = [{} for _ in lives]
    before = 0.0
    for life in range(max(map(len, lives))):
        for part in (0.5, 1):
            alive = [worker(float(int(counts[life] * part))) for counts in lives if life < len(counts)]
            now = value(total([*gone, *alive]), REQUESTS)
            assert now >= before
            before = now
        gone = [
            total([left, lasting(worker(float(counts[life])))]) if life < len(counts) else left
            for left, counts in zip(gone, lives, strict=True)
        ]
    assert value(total(gone), REQUESTS) == sum(map(sum, lives))


def test_a_sample_without_a_family_is_no_accident() -> None:
    assert parse("lone 1\n\n") == {}

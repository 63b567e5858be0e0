"""How late stages are, as Prometheus reads it."""

from datetime import timedelta

from prometheus_client import CollectorRegistry, generate_latest

from ias.lag import Lags
from ias.telemetry import now


def shown(lags: Lags) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(lags)
    lines = generate_latest(registry).decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_each_stage_counts_its_events_by_how_late_they_were() -> None:
    lags, moment = Lags(), now()

    lags.observe("relay", [moment - timedelta(seconds=seconds) for seconds in (0, 0.2, 20, 1000)])
    lags.observe("relay", [moment - timedelta(seconds=20)])
    lags.observe("ledger", [moment])

    figures = shown(lags)
    buckets = {
        le: figures[f'ias_usage_lag_seconds_bucket{{le="{le}",stage="relay"}}']
        for le in ("0.05", "1.0", "30.0", "300.0", "+Inf")
    }
    assert buckets == {"0.05": 1, "1.0": 2, "30.0": 4, "300.0": 4, "+Inf": 5}
    assert figures['ias_usage_lag_seconds_count{stage="relay"}'] == 5
    assert 1040 <= figures['ias_usage_lag_seconds_sum{stage="relay"}'] < 1050
    assert figures['ias_usage_lag_seconds_count{stage="ledger"}'] == 1


def test_an_event_of_a_clock_that_is_ahead_is_not_late() -> None:
    lags = Lags()

    lags.observe("relay", [now() + timedelta(hours=1)])

    assert shown(lags)['ias_usage_lag_seconds_sum{stage="relay"}'] == 0


def test_a_stage_that_was_done_with_nothing_is_at_nought() -> None:
    lags = Lags()

    lags.observe("relay", [])

    assert shown(lags)['ias_usage_lag_seconds_count{stage="relay"}'] == 0

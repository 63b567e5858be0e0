"""Of every alert: series in which it must go off, and series in which it must not; promtool says whether it does.

Series are in promtool's notation, a value a minute: `3+0x90` stays 3, `0+6x90` grows by 6.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.observe.asked import RULES, Rule, rules

SEEN_M = 7
"""Minutes until what looks back five of them sees them all."""
_MINUTES = 90

Series = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """What must and what must not make an alert go off; `times` is how many there then are."""

    bad: Series
    good: Series
    times: int = 1


def held(series: str, bad: float, good: float) -> Case:
    """It stays at a bad value, or at a good one."""
    return Case({series: _stays(bad)}, {series: _stays(good)})


def share(part: str, whole: str, bad: float, good: float) -> Case:
    """Of 100 that come in a minute so many are of this part; `whole` is the same series with those that are well."""
    return Case(*({part: _grows(some), whole: _grows(100 - some)} for some in (bad, good)))


def grows(series: str, by: float) -> Case:
    """It grows, or it does not."""
    return Case({series: _grows(by)}, {series: "7+0x90"})


def slow(histogram: str, labels: str = "") -> Case:
    """A tenth of what it sees takes two seconds; or a hundredth does."""

    def seen(late: int) -> Series:
        bounds = {"0.5": 100 - late, "1": 100 - late, "2.5": 100, "+Inf": 100}
        return {f'{histogram}_bucket{{{labels}le="{bound}"}}': _grows(count) for bound, count in bounds.items()}

    return Case(seen(10), seen(1))


def of(first: str, then: str, bad: tuple[float, float], good: tuple[float, float]) -> Case:
    """Two that are compared."""
    return Case(*({first: _stays(one), then: _stays(other)} for one, other in (bad, good)))


def _stays(value: float) -> str:
    return f"{value:g}+0x{_MINUTES}"


def _grows(by: float) -> str:
    return f"0+{by:g}x{_MINUTES}"


_SAW = "9 0 " * (_MINUTES // 2)
CASES = {
    # users
    "IasErrorRate": share(
        'ias_gateway_requests_total{status="502", instance="a"}',
        'ias_gateway_requests_total{status="200", instance="b"}',
        6,
        4,
    ),
    "IasApiErrorRate": share('ias_http_requests_total{status="500"}', 'ias_http_requests_total{status="200"}', 6, 4),
    "IasFirstTokenSlow": slow("gen_ai_server_time_to_first_token_seconds", 'model="m", '),
    "IasApiSlow": slow("ias_http_request_duration_seconds", 'route="/api/v1/models", '),
    "IasGatewayBusy": of("ias_gateway_open_requests", "ias_gateway_open_requests_limit", (460, 500), (440, 500)),
    "IasGatewaySheds": grows('ias_gateway_shed_total{reason="lag"}', 1),
    "IasEventLoopLate": held("ias_gateway_loop_lag_seconds", 0.3, 0.2),
    # processes
    "IasProcessDown": Case(
        {'up{job="ias-gateway-metrics", instance="a"}': _stays(0)},
        {'up{job="ias-gateway-metrics", instance="a"}': _stays(1), 'up{job="vllm", instance="b"}': _stays(0)},
    ),
    "IasNoGateway": Case({}, {"ias_gateway_open_requests": _stays(0), "ias_gateways_up": _stays(2)}),
    "IasNoWorker": Case({}, {"ias_stage_up": _stays(1), "ias_worker_connections": _stays(16)}),
    "IasStageFailing": held('ias_stage_up{stage="relay"}', 0, 1),
    "IasGatewaySilent": held("ias_gateways_silent", 1, 0),
    "IasOtherRelease": held("ias_gateways_other_release", 1, 0),
    "IasEngineDown": of('ias_engine_up{replica="http://e:8000", models="m"}', "ias_gateways_up", (0, 2), (1, 2)),
    "IasEngineFails": share(
        'ias_gateway_outcomes_total{outcome="upstream_failed"}',
        'ias_gateway_outcomes_total{outcome="completed"}',
        3,
        1,
    ),
    "IasGitReconcileFailing": held("ias_gitops_repositories_failing", 1, 0),
    # services
    "IasPostgresqlDown": held("ias_postgresql_up", 0, 1),
    "IasPoolExhausted": of(
        'ias_pool_connections{pool="transactions", state="in use", instance="a"}',
        'ias_pool_limit{pool="transactions", instance="a"}',
        (10, 10),
        (9, 10),
    ),
    "IasPoolTimeouts": grows('ias_pool_timeouts_total{instance="a"}', 1),
    "IasPostgresqlCrowded": of("ias_postgresql_connections", "ias_postgresql_connections_limit", (95, 100), (80, 100)),
    "IasPostgresqlRole": held("ias_postgresql_role_ok", 0, 1),
    "IasMigrationsPending": held("ias_migrations_pending", 2, 0),
    "IasRedisLost": held('ias_gateway_redis_up{instance="a"}', 0, 1),
    "IasRedisDown": held("ias_redis_up", 0, 1),
    "IasRedisNotReady": of("ias_projection_whole", "ias_projection_incomplete", (1, 3), (1, 0)),
    "IasRedisNotPersistent": held("ias_redis_shards_not_persistent", 1, 0),
    "IasRedisEvicts": held("ias_redis_shards_evicting", 1, 0),
    "IasRedisFull": held("ias_redis_memory_ratio", 0.85, 0.75),
    "IasRedisLibrary": held("ias_redis_shards_without_library", 1, 0),
    "IasClockSkew": held("ias_redis_clock_skew_seconds", -12, 9),
    "IasRabbitmqDown": held("ias_rabbitmq_up", 0, 1),
    "IasQueueDeep": held('ias_queue_messages{queue="billing.ledger.v1"}', 10_001, 10_000),
    "IasQueueNotConsumed": held('ias_queue_consumers{queue="billing.ledger.v1"}', 0, 1),
    "IasQueueTopology": held("ias_rabbitmq_topology_faults", 1, 0),
    # accounting
    "IasLedgerDrift": held('ias_check_drifting{kind="used"}', 1, 0),
    "IasCheckStopped": held("ias_check_age_seconds", 301, 60),
    "IasOutboxOld": held("ias_outbox_oldest_seconds", 61, 5),
    "IasRelayLate": held("ias_relay_lag_seconds", 61, 5),
    "IasConsumerLate": held('ias_consumer_lag_seconds{consumer="ledger"}', 61, 5),
    "IasQuarantine": held('ias_quarantined{consumer="ledger"}', 1, 0),
    "IasDeadLetters": held('ias_dead_letters{queue="billing.ledger.v1"}', 1, 0),
    "IasSweeperLate": held("ias_sweep_lag_seconds", 21, 4),
    "IasSpoolNotEmpty": of('ias_gateway_spooled{instance="a"}', 'ias_gateway_spool_left{gateway="b"}', (0, 2), (0, 0)),
    "IasSpoolFails": grows('ias_gateway_spool_failures_total{instance="a"}', 1),
    "IasUnsettled": Case({"ias_gateway_unsettled": _stays(3)}, {"ias_gateway_unsettled": _SAW}),
    "IasOvershoot": grows("ias_gateway_overshot_tokens_total", 10),
}


def write(folder: Path) -> Path:
    """The cases as promtool reads them."""
    tests = [test for rule in rules() for test in _tests(rule, CASES[rule.name])]
    path = folder / "cases.yaml"
    whole = {"rule_files": [str(rule) for rule in RULES], "evaluation_interval": "1m", "tests": tests}
    YAML(typ="safe", pure=True).dump(whole, path)
    return path


def _tests(rule: Rule, case: Case) -> Iterator[dict[str, Any]]:
    query = f'count (ALERTS{{alertname="{rule.name}", alertstate="firing"}})'
    gone_off = [{"labels": "{}", "value": case.times}]
    for series, expected in ((case.bad, gone_off), (case.good, [])):
        yield {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [{"expr": query, "eval_time": f"{rule.after_m + SEEN_M}m", "exp_samples": expected}],
        }

"""The metrics of the vitals: their names, units and meanings in one table, and the gauges of a worker."""

from collections.abc import Iterable
from math import nan

import msgspec
from prometheus_client import Gauge

from ias.vitals.findings import Finding


class Metric(msgspec.Struct, frozen=True):
    """A gauge. What cannot be told just now is NaN, or not there where the metric has a label."""

    name: str
    unit: str
    meaning: str
    label: str = ""


METRICS = (
    Metric("ias_postgresql_up", "0 or 1", "PostgreSQL answers"),
    Metric("ias_migrations_pending", "migrations", "migrations of this release that the database lacks"),
    Metric("ias_postgresql_role_ok", "0 or 1", "connections act as a role that no row-level security lets pass"),
    Metric("ias_timescaledb", "0 or 1", "usage events are in a hypertable; 0: in monthly partitions"),
    Metric("ias_worker_connections", "connections", "workers' connections to PostgreSQL; 0: no worker runs"),
    Metric("ias_postgresql_connections", "connections", "connections of the whole server, whoever's they are"),
    Metric("ias_postgresql_connections_limit", "connections", "connections that the server takes"),
    Metric("ias_postgresql_size_bytes", "bytes", "size of the database"),
    Metric("ias_redis_up", "0 or 1", "every Redis shard answers"),
    Metric("ias_redis_shards", "shards", "Redis masters, by what they are: alone, sentinel or cluster", "kind"),
    Metric(
        "ias_redis_shards_not_persistent", "shards", "shards without an append-only file that is synced each second"
    ),
    Metric("ias_redis_shards_evicting", "shards", "shards that would evict instead of refusing: not `noeviction`"),
    Metric("ias_redis_memory_ratio", "0 to 1", "memory used of the memory allowed, in the fullest shard"),
    Metric("ias_redis_memory_bytes", "bytes", "memory used, of all shards together"),
    Metric("ias_redis_clock_skew_seconds", "seconds", "Redis's clock before ours, in the shard where it is most"),
    Metric("ias_redis_shards_without_library", "shards", "shards that lack this release's Function library"),
    Metric("ias_projection_whole", "0 or 1", "every organisation was projected since Redis was last emptied"),
    Metric("ias_projection_incomplete", "organisations", "organisations whose projection is not complete"),
    Metric("ias_projection_debts", "changes", "committed changes that Redis has not confirmed", "of"),
    Metric("ias_rabbitmq_up", "0 or 1", "RabbitMQ answers; not there without a broker"),
    Metric("ias_rabbitmq_topology_faults", "faults", "exchange, queues and bindings that are missing or different"),
    Metric("ias_queue_messages", "messages", "messages that wait in a queue of RabbitMQ", "queue"),
    Metric("ias_queue_consumers", "consumers", "who consumes a queue of RabbitMQ", "queue"),
    Metric("ias_dead_letters", "messages", "messages in a queue's dead-letter queue", "queue"),
    Metric("ias_outbox_entries", "settlements", "settlements in Redis that are not known to be in PostgreSQL"),
    Metric("ias_outbox_oldest_seconds", "seconds", "age of the oldest of them"),
    Metric("ias_relay_lag_seconds", "seconds", "age of the oldest settlement that no relay has handed on"),
    Metric("ias_consumer_lag_seconds", "seconds", "age, at the last check, of the oldest that it had not", "consumer"),
    Metric("ias_check_age_seconds", "seconds", "since the last check of Redis against the ledger"),
    Metric("ias_check_drift_tokens", "tokens", "by how much the last check found it wrong", "kind"),
    Metric("ias_check_drifting", "organisations", "in how many the last check found something wrong", "kind"),
    Metric("ias_quarantined", "events", "events set aside and not put back", "consumer"),
    Metric("ias_reservations_live", "requests", "requests that hold tokens"),
    Metric("ias_reservations_lapsed", "requests", "those of them whose gateway no longer holds the lease"),
    Metric("ias_sweep_lag_seconds", "seconds", "how long ago the first of those leases lapsed"),
    Metric("ias_gateways_up", "processes", "gateway processes that say that they run"),
    Metric("ias_gateways_silent", "processes", "those that fell silent without a farewell, in the last ten minutes"),
    Metric("ias_gateways_other_release", "processes", "those that call another Function library than this release's"),
    Metric("ias_gateway_open", "requests", "requests under way, by gateway process", "gateway"),
    Metric("ias_gateway_spool_left", "settlements", "settlements in a gateway's spool file", "gateway"),
    Metric("ias_gateway_lease_seconds", "seconds", "left of a gateway's newest lease, where it serves", "gateway"),
    Metric("ias_gitops_repositories_failing", "repositories", "repositories of policies that cannot be had just now"),
)

_GAUGES = {
    metric.name: Gauge(metric.name, metric.meaning, [metric.label] if metric.label else []) for metric in METRICS
}


def show(findings: Iterable[Finding]) -> None:
    """Set every gauge anew."""
    for metric in METRICS:
        gauge = _GAUGES[metric.name]
        if metric.label:
            gauge.clear()
        else:
            gauge.set(nan)
    for finding in findings:
        for figure in finding.figures:
            gauge = _GAUGES[figure.metric]
            (gauge.labels(figure.label) if figure.label else gauge).set(figure.value)

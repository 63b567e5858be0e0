"""What has become of a population so far: its catalogue, policies and ledger, and its usage, by COPY."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import asyncpg

from bench.copying import Row, copy
from bench.population import MODELS, Member, Population, Size, Tenant
from ias.db import uuid7

ALERTS = 12
LINES = 1000
DAYS = 28
LONG = 200
MONTHS = 3
COUNTED = 20
"""Keys of a busy organisation that the rollups tell of."""

_LINES = (
    *("request_id", "line", "period", "org_id", "user_id", "key_id", "model", "model_id", "endpoint"),
    *("prompt_tokens", "completion_tokens", "cached_tokens", "cost", "rate_id", "outcome", "estimated"),
    *("lower_bound", "streamed", "status", "gateway", "started_at", "settled_at"),
)
_SEEN = ("request_id", "line", "body_hash")
_SPEND = (
    *("period", "org_id", "user_id", "key_id", "model"),
    *("requests", "prompt_tokens", "completion_tokens", "cached_tokens", "cost"),
)
_ALERTS = ("id", "org_id", "user_id", "period", "threshold", "limit_tokens", "used_tokens", "refused")
_LIMITS = ("org_id", "burst", "user_burst", "min_output_tokens", "ceiling")


async def booked(connection: asyncpg.Connection, people: Population, size: Size) -> None:
    """What billing knows: the catalogue, policies, alerts, the ledger and its sums."""
    rates = {name: uuid7() for _, name in people.models}
    models = [(model_id, name, name, 8192, 1024) for model_id, name in people.models]
    columns = ("id", "name", "upstream_name", "context_length", "max_output_tokens")
    await copy(connection, "billing.models", columns, models)
    backends = [(model_id, "http://engine:8000") for model_id, _ in people.models]
    await copy(connection, "billing.model_backends", ("model_id", "url"), backends)
    priced = [(rates[name], model_id, datetime(2025, 1, 1, tzinfo=UTC), 1, 2, 0) for model_id, name in people.models]
    columns = ("id", "model_id", "valid_from", "input", "output", "cached_input")
    await copy(connection, "billing.rates", columns, priced)
    budgets = ((tenant.id, 10**9, 10**8, 10**10) for tenant in people.tenants)
    columns = ("org_id", "monthly_tokens", "user_monthly_tokens", "ceiling_tokens")
    await copy(connection, "billing.budgets", columns, budgets)
    own = ((tenant.id, member.id, 10**7) for tenant in people.tenants for member in tenant.members[:10])
    await copy(connection, "billing.user_budgets", ("org_id", "user_id", "monthly_tokens"), own)
    await copy(connection, "billing.limits", _LIMITS, ((tenant.id, 2000, 1000, 16, "{}") for tenant in people.tenants))
    allowed = ((tenant.id, [model_id for model_id, _ in people.models[:5]]) for tenant in people.tenants[::2])
    await copy(connection, "billing.allowed_models", ("org_id", "model_ids"), allowed)
    thresholds = ((tenant.id, [50, 80, 100]) for tenant in people.tenants[::2])
    await copy(connection, "billing.alert_thresholds", ("org_id", "thresholds"), thresholds)
    await copy(connection, "billing.alerts", _ALERTS, _alerts(people))
    await connection.execute("SELECT billing.open_period($1)", people.period)
    await copy(connection, "billing.ledger_lines", _LINES, _lines(people, size.busy, rates))
    await copy(connection, "billing.spend", _SPEND, _spend(people, size.busy))
    await copy(connection, "billing.ledger_seen", _SEEN, _seen(people))


def _alerts(people: Population) -> Iterator[Row]:
    for tenant in people.tenants:
        tenant.alerts.extend(uuid7() for _ in range(ALERTS))
        for number, alert in enumerate(tenant.alerts):
            whose = None if number < ALERTS // 2 else tenant.members[number % len(tenant.members)].id
            yield alert, tenant.id, whose, people.period, 50 + number, 10**9, 10**9, False


def _used(people: Population, busy: int) -> Iterator[tuple[Tenant, Member, UUID]]:
    """Who used which key."""
    for tenant in people.tenants[:busy]:
        for member in tenant.members:
            for key in member.keys:
                yield tenant, member, key


def _lines(people: Population, busy: int, rates: dict[str, UUID]) -> Iterator[Row]:
    for tenant in people.tenants[:busy]:
        holders = [member for member in tenant.members if member.keys]
        if not tenant.requests:
            tenant.requests.extend(uuid7() for _ in range(LINES))
        for number in range(LINES):
            member, (model_id, name) = holders[number % len(holders)], people.models[number % MODELS]
            moment = people.moment - timedelta(seconds=number)
            yield (
                *(
                    tenant.requests[number],
                    1,
                    people.period,
                    tenant.id,
                    member.id,
                    member.keys[0],
                    name,
                    model_id,
                    "chat",
                ),
                *(500, 200, 0, Decimal("0.9"), rates[name], "completed", False, False, True, 200, "gateway-1"),
                *(moment, moment),
            )


def _seen(people: Population) -> Iterator[Row]:
    for tenant in people.tenants:
        for request in tenant.requests:
            yield request, 1, hashlib.sha256(request.bytes).digest()


def _spend(people: Population, busy: int) -> Iterator[Row]:
    first = people.moment.replace(day=1)
    for month in range(MONTHS):
        period = f"{first - timedelta(days=31 * month):%Y%m}"
        for number, (tenant, member, key) in enumerate(_used(people, busy)):
            name = people.models[number % MODELS][1]
            yield period, tenant.id, member.id, key, name, 10, 5000, 2000, 0, Decimal(9)


_SUMS = ("requests", "failed", "prompt_tokens", "completion_tokens", "cached_tokens")
_ROLLUP = ("org_id", "bucket", "user_id", "key_id", "model", *_SUMS)


async def counted(connection: asyncpg.Connection, people: Population, size: Size) -> None:
    """What analytics knows: events of the last minutes, and rollups."""
    midnight = people.moment.replace(hour=0, minute=0, second=0, microsecond=0)
    days = [midnight - timedelta(days=number) for number in range(DAYS)]
    hours = [midnight + timedelta(hours=number) for number in range(24)]
    await copy(connection, "analytics.usage_daily", _ROLLUP, _rollup(people, size.busy, days))
    await copy(connection, "analytics.usage_hourly", _ROLLUP, _rollup(people, size.busy, hours))
    long = [midnight - timedelta(days=number) for number in range(LONG)]
    each_hour = [day + timedelta(hours=number) for day in days for number in range(24)]
    busy = [tenant.id for tenant in people.tenants[: size.busy]]
    for table, owner, owners in (("model", "org_id", busy), ("platform", "slot", [0])):
        columns = (owner, "bucket", "model", *_SUMS, "counts")
        await copy(connection, f"analytics.{table}_daily", columns, _by_model(people, owners, long))
        await copy(connection, f"analytics.{table}_hourly", columns, _by_model(people, owners, each_hour))
    for moment in (people.moment, people.moment - timedelta(seconds=LINES)):
        await connection.execute("SELECT analytics.open_month($1)", moment)
    await copy(connection, "analytics.usage_events", _EVENTS, _events(people, size.busy))
    await copy(connection, "analytics.usage_seen", _SEEN, _seen(people))


_EVENTS = (
    *("request_id", "line", "org_id", "user_id", "key_id", "model", "endpoint"),
    *("prompt_tokens", "completion_tokens", "cached_tokens", "outcome", "estimated", "lower_bound", "streamed"),
    *("status", "gateway", "replica", "duration_ms", "queue_ms", "first_token_ms", "started_at", "settled_at"),
)


def _events(people: Population, busy: int) -> Iterator[Row]:
    for line in _lines(people, busy, dict.fromkeys((name for _, name in people.models), people.admins[0].id)):
        request, number, _, org, user, key, model, _, endpoint, *tokens = line[:12]
        yield (
            *(request, number, org, user, key, model, endpoint, *tokens, "completed", False, False, True),
            *(200, "gateway-1", "engine-1", 900.0, 2.0, 80.0, line[-2], line[-1]),
        )


def _rollup(people: Population, busy: int, buckets: Sequence[datetime]) -> Iterator[Row]:
    for tenant in people.tenants[:busy]:
        holders = [member for member in tenant.members if member.keys][:COUNTED]
        for bucket in buckets:
            for number, member in enumerate(holders):
                name = people.models[number % MODELS][1]
                yield tenant.id, bucket, member.id, member.keys[0], name, 10, 0, 5000, 2000, 0


def _by_model(people: Population, owners: Sequence[object], buckets: Sequence[datetime]) -> Iterator[Row]:
    for owner in owners:
        for bucket in buckets:
            for _, name in people.models:
                yield owner, bucket, name, 100, 1, 50_000, 20_000, 0, []

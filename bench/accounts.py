"""What has become of a population so far: its catalogue, policies and ledger, by COPY, and its usage."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import asyncpg

from bench.copying import Row, copy
from bench.population import MODELS, Member, Population, Size, Tenant
from bench.scale_events import Holders, Loaded, load
from ias.db import uuid7

ALERTS = 12
LINES = 1000
MONTHS = 3
COUNTED = 20
"""Members of each organisation who used a key."""
# So that thirty days are a part of what is kept, as they are where people ask for them.
_BEFORE = """
INSERT INTO analytics.model_daily (org_id, bucket, model, requests, failed, prompt_tokens, completion_tokens,
    cached_tokens, counts)
SELECT org_id, bucket - number * INTERVAL '30 days', model, requests, failed, prompt_tokens, completion_tokens,
    cached_tokens, counts
FROM generate_series(1, 7) AS number, analytics.model_daily ORDER BY 2, 1 ON CONFLICT DO NOTHING
"""
_DAYS_BEFORE = """
INSERT INTO analytics.org_daily (org_id, bucket, requests, failed, prompt_tokens, completion_tokens, cached_tokens)
SELECT org_id, bucket, sum(requests), sum(failed), sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens)
FROM analytics.model_daily GROUP BY 1, 2 ORDER BY 2, 1 ON CONFLICT DO NOTHING
"""
_NEWEST = "SELECT request_id FROM analytics.usage_events WHERE org_id = $1 ORDER BY started_at DESC LIMIT $2"

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
    await _spent(connection, people, size)
    await copy(connection, "billing.ledger_seen", _SEEN, _seen(people))


_ORG_SPEND = """
INSERT INTO billing.org_spend (org_id, period, requests, prompt_tokens, completion_tokens, cached_tokens, cost)
SELECT org_id, period, sum(requests), sum(prompt_tokens), sum(completion_tokens), sum(cached_tokens), sum(cost)
FROM billing.spend GROUP BY org_id, period
"""


async def _spent(connection: asyncpg.Connection, people: Population, size: Size) -> None:
    await copy(connection, "billing.spend", _SPEND, _spend(people, size.busy))
    await connection.execute(_ORG_SPEND)


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
        holders = _with_keys(tenant)
        for number, request in enumerate(tenant.requests):
            member, (model_id, name) = holders[number % len(holders)], people.models[number % MODELS]
            moment = people.moment - timedelta(seconds=number)
            yield (
                *(request, 1, people.period, tenant.id, member.id, member.keys[0], name, model_id, "chat"),
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


async def counted(connection: asyncpg.Connection, url: str, people: Population, size: Size) -> Loaded:
    """What analytics knows: so many events of thirty days in all organisations, and rollups of them."""
    holders = [(tenant.id, member) for tenant in people.tenants for member in _with_keys(tenant)[:COUNTED]]
    orgs, members = zip(*holders, strict=True)
    keys = [member.keys[0] for member in members]
    names = [name for _, name in people.models]
    loaded = await load(url, Holders(orgs, [member.id for member in members], keys, names), size.events)
    await connection.execute(_BEFORE)
    await connection.execute(_DAYS_BEFORE)
    for tenant in people.tenants[: size.busy]:
        rows = await connection.fetch(_NEWEST, tenant.id, LINES)
        tenant.requests.extend(row["request_id"] for row in rows)
    return loaded


def _with_keys(tenant: Tenant) -> list[Member]:
    return [member for member in tenant.members if member.keys]

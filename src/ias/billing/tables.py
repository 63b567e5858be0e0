"""The tables of schema `billing`, as the migrations made them."""

from decimal import Decimal

from piccolo.columns import JSONB, UUID, Array, BigInt, Boolean, Bytea, Integer, Numeric, Text, Timestamptz
from piccolo.table import Table

from ias.db import ENGINE, uuid7

MONEY_PER_1K = (18, 10)
MONEY = (28, 13)


class Models(Table, tablename="models", schema="billing", db=ENGINE):
    """Models that can be called, by their public names."""

    id = UUID(primary_key=True, default=uuid7)
    name = Text()
    upstream_name = Text()
    enabled = Boolean(default=True)
    context_length = Integer()
    max_output_tokens = Integer()
    tenant_salt = Boolean(default=True)
    image_tokens = Integer(default=0)
    prompt_overhead = Integer(default=0)
    created_at = Timestamptz()
    updated_at = Timestamptz()
    removed_at = Timestamptz(null=True, default=None)


class ModelBackends(Table, tablename="model_backends", schema="billing", db=ENGINE):
    """Engines that serve a model."""

    id = UUID(primary_key=True, default=uuid7)
    model_id = UUID()
    url = Text()
    created_at = Timestamptz()


class Rates(Table, tablename="rates", schema="billing", db=ENGINE):
    """What a model costs per 1,000 tokens; valid until the next one of the same model begins."""

    id = UUID(primary_key=True, default=uuid7)
    model_id = UUID()
    valid_from = Timestamptz()
    input = Numeric(digits=MONEY_PER_1K, default=Decimal(0))
    output = Numeric(digits=MONEY_PER_1K, default=Decimal(0))
    cached_input = Numeric(digits=MONEY_PER_1K, default=Decimal(0))
    created_at = Timestamptz()


class RouteDebts(Table, tablename="route_debts", schema="billing", db=ENGINE):
    """Changes of the catalogue that are committed and not yet confirmed by Redis."""

    id = UUID(primary_key=True, default=uuid7)
    created_at = Timestamptz()


class Budgets(Table, tablename="budgets", schema="billing", db=ENGINE):
    """Monthly budgets of organisations; a missing row is the platform's default, null is none."""

    org_id = UUID(primary_key=True, default=None)
    monthly_tokens = BigInt(null=True, default=None)
    user_monthly_tokens = BigInt(null=True, default=None)
    ceiling_tokens = BigInt(null=True, default=None)
    updated_at = Timestamptz()


class UserBudgets(Table, tablename="user_budgets", schema="billing", db=ENGINE):
    """Monthly budgets of single members."""

    org_id = UUID(primary_key=True, default=None)
    user_id = UUID()
    monthly_tokens = BigInt(null=True, default=None)
    updated_at = Timestamptz()


class Limits(Table, tablename="limits", schema="billing", db=ENGINE):
    """Rate limits of organisations; a missing row is the platform's default, null is none."""

    org_id = UUID(primary_key=True, default=None)
    requests_per_second = Integer(null=True, default=None)
    burst = Integer()
    tokens_per_minute = BigInt(null=True, default=None)
    concurrency = Integer(null=True, default=None)
    user_requests_per_second = Integer(null=True, default=None)
    user_burst = Integer()
    user_tokens_per_minute = BigInt(null=True, default=None)
    user_concurrency = Integer(null=True, default=None)
    min_output_tokens = Integer()
    max_output_tokens = Integer(null=True, default=None)
    mode = Text(default="strict")
    ceiling = JSONB()
    updated_at = Timestamptz()


class AllowedModels(Table, tablename="allowed_models", schema="billing", db=ENGINE):
    """Which models an organisation may call; null or a missing row is every model."""

    org_id = UUID(primary_key=True, default=None)
    model_ids = Array(base_column=UUID(), null=True, default=None)
    ceiling_ids = Array(base_column=UUID(), null=True, default=None)
    updated_at = Timestamptz()


class LedgerLines(Table, tablename="ledger_lines", schema="billing", db=ENGINE):
    """The ledger: line 1 of each admitted request, and numbered adjustments; partitioned by month."""

    request_id = UUID(primary_key=True, default=None)
    line = Integer()
    period = Text()
    org_id = UUID()
    user_id = UUID()
    key_id = UUID()
    model = Text()
    model_id = UUID()
    endpoint = Text()
    prompt_tokens = BigInt()
    completion_tokens = BigInt()
    cached_tokens = BigInt()
    cost = Numeric(digits=MONEY)
    rate_id = UUID(null=True, default=None)
    outcome = Text()
    estimated = Boolean()
    lower_bound = Boolean()
    streamed = Boolean()
    status = Integer()
    gateway = Text()
    started_at = Timestamptz()
    settled_at = Timestamptz()
    created_at = Timestamptz()


class Spend(Table, tablename="spend", schema="billing", db=ENGINE):
    """Sums of the ledger by month, organisation, member, key and model."""

    period = Text(primary_key=True)
    org_id = UUID()
    user_id = UUID()
    key_id = UUID()
    model = Text()
    requests = BigInt()
    prompt_tokens = BigInt()
    completion_tokens = BigInt()
    cached_tokens = BigInt()
    cost = Numeric(digits=MONEY)
    last_used_at = Timestamptz(null=True, default=None)


class Quarantine(Table, tablename="quarantine", schema="billing", db=ENGINE):
    """Events that could not be taken in."""

    id = UUID(primary_key=True, default=uuid7)
    request_id = UUID(null=True, default=None)
    line = Integer(null=True, default=None)
    origin = Text()
    reason = Text()
    body = Bytea()
    body_hash = Bytea()
    created_at = Timestamptz()
    replayed_at = Timestamptz(null=True, default=None)

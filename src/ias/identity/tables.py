"""The tables of schema `identity`, as the migrations made them."""

from piccolo.columns import JSONB, UUID, Array, BigInt, Boolean, Bytea, Text, Timestamptz
from piccolo.table import Table

from ias.db import ENGINE, uuid7


class Organizations(Table, tablename="organizations", schema="identity", db=ENGINE):
    """Tenants."""

    id = UUID(primary_key=True, default=uuid7)
    name = Text()
    name_folded = Text()
    tag = Text()
    status = Text(default="active")
    created_at = Timestamptz()
    removed_at = Timestamptz(null=True, default=None)
    description = Text()
    cost_center = Text()
    tags = JSONB(default="{}")
    managed_by = JSONB(null=True, default=None)


class Users(Table, tablename="users", schema="identity", db=ENGINE):
    """Members of one organisation, or system admins."""

    id = UUID(primary_key=True, default=uuid7)
    org_id = UUID(null=True, default=None)
    email = Text()
    email_folded = Text()
    name = Text()
    password_hash = Text(secret=True)
    role = Text()
    status = Text(default="active")
    created_at = Timestamptz()
    removed_at = Timestamptz(null=True, default=None)


class Invites(Table, tablename="invites", schema="identity", db=ENGINE):
    """Links by which one address may join an organisation."""

    id = UUID(primary_key=True, default=uuid7)
    org_id = UUID()
    email = Text()
    email_folded = Text()
    role = Text()
    token_hash = Text(secret=True)
    invited_by = UUID()
    created_at = Timestamptz()
    expires_at = Timestamptz()
    closed_at = Timestamptz(null=True, default=None)


class RefreshTokens(Table, tablename="refresh_tokens", schema="identity", db=ENGINE):
    """Refresh tokens of sessions; all of one session are a family."""

    id = UUID(primary_key=True, default=uuid7)
    org_id = UUID(null=True, default=None)
    user_id = UUID()
    family_id = UUID()
    token_hash = Text(secret=True)
    created_at = Timestamptz()
    expires_at = Timestamptz()
    used_at = Timestamptz(null=True, default=None)
    revoked_at = Timestamptz(null=True, default=None)
    browser = Boolean(default=False)
    seen_at = Timestamptz(null=True, default=None)
    agent = Text(default="")


class ApiKeys(Table, tablename="api_keys", schema="identity", db=ENGINE):
    """API keys; the token itself is stored nowhere."""

    id = UUID(primary_key=True, default=uuid7)
    org_id = UUID()
    user_id = UUID()
    label = Text()
    prefix = Text()
    fingerprint = Text()
    created_at = Timestamptz()
    expires_at = Timestamptz(null=True, default=None)
    revoked_at = Timestamptz(null=True, default=None)
    revoked_by = UUID(null=True, default=None)
    models = Array(base_column=Text(), null=True, default=None)
    monthly_tokens = BigInt(null=True, default=None)
    rotated_at = Timestamptz(null=True, default=None)
    meant_until = Timestamptz(null=True, default=None)


class ProjectionDebts(Table, tablename="projection_debts", schema="identity", db=ENGINE):
    """Changes that are committed and not yet confirmed by Redis."""

    id = UUID(primary_key=True, default=uuid7)
    org_id = UUID()
    created_at = Timestamptz()


class AuditLog(Table, tablename="audit_log", schema="identity", db=ENGINE):
    """Every write; rows are added and read, nothing else. A trigger fills in `seq` and `hash`, whatever is sent."""

    id = UUID(primary_key=True, default=uuid7)
    org_id = UUID(null=True, default=None)
    actor_id = UUID(null=True, default=None)
    actor = Text()
    action = Text()
    target_id = UUID(null=True, default=None)
    before = JSONB(null=True, default=None)
    after = JSONB(null=True, default=None)
    source = Text()
    request_id = Text()
    created_at = Timestamptz()
    seq = BigInt(default=0)
    hash = Bytea()

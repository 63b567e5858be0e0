"""What an organisation may use, what the platform gave it at most, and what was used: values to compare and replay."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import msgspec

from ias.billing.policies.domain import Budget, RateLimits


class Ceiling(msgspec.Struct, frozen=True):
    """What the platform gave at most; None is no end, of models every model."""

    monthly_tokens: int | None
    limits: RateLimits
    models: frozenset[str] | None


class Terms(msgspec.Struct, frozen=True):
    """What an organisation may use. `members` are those with a budget of their own; `models` None is every model."""

    budget: Budget
    members: Mapping[UUID, int | None]
    limits: RateLimits
    models: tuple[str, ...] | None
    thresholds: tuple[int, ...]
    ceiling: Ceiling


class Use(msgspec.Struct, frozen=True):
    """Tokens that a member used of a model this month, by the ledger."""

    user_id: UUID
    model: str
    tokens: int


class Request(msgspec.Struct, frozen=True):
    """A request of the ledger, its lines summed up. `period` is its month, YYYYMM (UTC)."""

    user_id: UUID
    model: str
    period: str
    tokens: int
    started_at: datetime

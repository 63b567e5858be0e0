"""What an organisation spent in a month, as people see it."""

from enum import StrEnum
from uuid import UUID

import msgspec


class SpendBy(StrEnum):
    """What the items of an answer are of."""

    MODEL = "model"
    USER = "user"
    KEY = "key"


class Totals(msgspec.Struct, kw_only=True):
    """Sums of ledger lines. `cost` is money, exact."""

    requests: int
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    total_tokens: int
    cost: str


class SpendItem(Totals):
    """Sums of one group; of `model`, `user_id` and `key_id` the one that was grouped by is there."""

    model: str | msgspec.UnsetType = msgspec.UNSET
    user_id: UUID | msgspec.UnsetType = msgspec.UNSET
    key_id: UUID | msgspec.UnsetType = msgspec.UNSET


class Spend(msgspec.Struct, kw_only=True):
    """What was spent in a month, YYYYMM (UTC); `totals` are the sums of the items."""

    period: str
    group_by: SpendBy
    items: list[SpendItem]
    totals: Totals

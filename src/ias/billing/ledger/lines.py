"""A line of the ledger as people see it, with the rate that it was priced by."""

from datetime import datetime
from uuid import UUID

import msgspec


class LineRate(msgspec.Struct, kw_only=True):
    """What a line was priced by: money per 1,000 tokens, of the rate of the model that began at `valid_from`."""

    id: UUID
    valid_from: datetime
    input_rate: str
    output_rate: str
    cached_input_rate: str


class LedgerLine(msgspec.Struct, kw_only=True):
    """Line 1 of a request, or a numbered adjustment, whose tokens are differences.

    `cost` is money, exact: `cached_tokens` by the rate's `cached_input_rate`, the other prompt tokens by `input_rate`,
    `completion_tokens` by `output_rate`, over 1000. `rate` is null where the model had none, and the line is free.
    """

    request_id: UUID
    line: int
    period: str
    org_id: UUID
    user_id: UUID
    key_id: UUID
    model: str
    model_id: UUID
    endpoint: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    cost: str
    rate: LineRate | None
    outcome: str
    estimated: bool
    lower_bound: bool
    streamed: bool
    status: int
    started_at: datetime
    settled_at: datetime
    created_at: datetime


class LedgerLineList(msgspec.Struct):
    """Lines of one request, or an organisation's newest."""

    items: list[LedgerLine]

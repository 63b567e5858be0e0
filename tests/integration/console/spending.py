"""Requests that an organisation made, taken in as the worker would have taken them in."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from ias.analytics import doors as analytics
from ias.billing import doors as billing
from ias.contract.usage import Outcome, UsageRecorded
from ias.db import close_pool, open_pool, uuid7
from ias.intake import take_in
from ias.telemetry import now
from tests.integration.identity.conftest import Member, Org


def request_of(org: Org, member: Member, key: Mapping[str, Any], **changes: Any) -> UsageRecorded:
    """A streamed request of a few seconds ago."""
    moment = changes.pop("started_at", now() - timedelta(seconds=5))
    usual: dict[str, Any] = {
        "request_id": uuid7(),
        "line": 1,
        "period": f"{moment:%Y%m}",
        "organisation": UUID(org.id),
        "user": UUID(member.id),
        "key": UUID(key["id"]),
        "model": "page-model",
        "model_id": uuid4(),
        "endpoint": "chat",
        "prompt_tokens": 1000,
        "completion_tokens": 21,
        "cached_tokens": 400,
        "outcome": Outcome.COMPLETED,
        "started_at": moment,
        "settled_at": moment + timedelta(seconds=2),
        "streamed": True,
        "status": 200,
        "gateway": "gateway-1",
        "replica": "http://engine:8000",
        "queue_ms": 3.5,
        "first_token_ms": 250.0,
        "duration_ms": 2250.0,
    }
    return UsageRecorded(**usual | changes)


async def used(database_url: str, *events: UsageRecorded) -> None:
    """Take them in, in analytics and in the ledger."""
    await open_pool(database_url, 2, "tests")
    try:
        await take_in(analytics.INTAKE, events)
        await take_in(billing.INTAKE, events)
    finally:
        await close_pool()

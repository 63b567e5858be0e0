"""A usage event to begin with."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from ias.contract.usage import Outcome, UsageRecorded

MOMENT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def an_event(**changes: object) -> UsageRecorded:
    fields: dict[str, object] = {
        "request_id": UUID(int=1),
        "line": 1,
        "period": "202601",
        "organisation": UUID(int=2),
        "user": UUID(int=3),
        "key": UUID(int=4),
        "model": "mock-gpt",
        "model_id": UUID(int=5),
        "endpoint": "chat",
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "cached_tokens": 60,
        "outcome": Outcome.COMPLETED,
        "started_at": MOMENT,
        "settled_at": MOMENT + timedelta(seconds=1),
    }
    return UsageRecorded(**(fields | changes))

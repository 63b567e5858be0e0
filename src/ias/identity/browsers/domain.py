"""The session that a browser shows, and how often it is noted that it is here."""

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

NOTED_EVERY = timedelta(minutes=5)
MOST_AGENT = 200


class Session(msgspec.Struct, frozen=True):
    """What the token in a cookie is."""

    user_id: UUID
    family_id: UUID
    seen_at: datetime


def is_to_be_noted(session: Session, now: datetime) -> bool:
    """Whether it is worth a write that the browser is here."""
    return now - session.seen_at >= NOTED_EVERY

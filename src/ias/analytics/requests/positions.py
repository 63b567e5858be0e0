"""Where a list of requests goes on: after the last one that a page had, by an opaque cursor."""

import base64
import binascii
import struct
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec

from ias.analytics.requests.domain import Request
from ias.paging import BadCursor

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)
_POSITION = struct.Struct(">q16s")

Position = tuple[datetime, UUID]
"""When a request started, and its id: what a list is ordered by, the newest first."""


def position_of(row: Mapping[str, object]) -> Position:
    """The position of a row of a list."""
    found: Position = msgspec.convert((row["started_at"], row["request_id"]), Position)
    return found


def encode_position(last: Request) -> str:
    """The cursor that goes on after this request."""
    ticks = (last.started_at - _EPOCH) // _TICK
    return base64.urlsafe_b64encode(_POSITION.pack(ticks, last.request_id.bytes)).decode()


def decode_position(cursor: str | None) -> Position | None:
    """Where to go on, None for the first page.

    Raises:
        BadCursor: it is not one of ours.
    """
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor, altchars=b"-_", validate=True)
        ticks, request_id = _POSITION.unpack(raw)
        return _EPOCH + ticks * _TICK, UUID(bytes=request_id)
    except (ValueError, OverflowError, struct.error, binascii.Error):
        raise BadCursor("cursor: not one that this API gave; leave it out to start at the first page") from None

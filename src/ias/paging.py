"""Cursor pagination: newest first by UUIDv7, `limit` ≤ 200, an opaque cursor that is checked when it comes back."""

import base64
import binascii
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

import msgspec
from litestar.params import QueryParameter

DEFAULT_LIMIT = 50
MAX_LIMIT = 200

Limit = Annotated[int, QueryParameter(ge=1, le=MAX_LIMIT, description="How many items a page has at most.")]
"""The query parameter `limit` of a list."""

ItemT = TypeVar("ItemT")


class BadCursor(ValueError):
    """The cursor was not made by this API; start again without one."""


class Page(msgspec.Struct, Generic[ItemT], frozen=True):
    """One page of a list. `next_cursor` is null on the last one."""

    items: list[ItemT]
    next_cursor: str | None


def encode_cursor(last: UUID) -> str:
    """The cursor that continues after the row with this id."""
    return base64.urlsafe_b64encode(last.bytes).rstrip(b"=").decode()


def decode_cursor(cursor: str | None) -> UUID | None:
    """The id to continue after, None for the first page.

    Raises:
        BadCursor: it is not one of ours.
    """
    if cursor is None:
        return None
    try:
        raw = base64.b64decode(cursor + "==", altchars=b"-_", validate=True)
        last = UUID(bytes=raw)
    except (ValueError, binascii.Error):
        raise BadCursor("cursor: not one that this API gave; leave it out to start at the first page") from None
    if encode_cursor(last) != cursor:
        raise BadCursor("cursor: not one that this API gave; leave it out to start at the first page")
    return last


def page(rows: Sequence[ItemT], limit: int, id_of: Callable[[ItemT], UUID]) -> Page[ItemT]:
    """A page out of up to `limit` + 1 rows: the extra one only says that there is more."""
    items = list(rows[:limit])
    more = len(rows) > limit
    return Page(items=items, next_cursor=encode_cursor(id_of(items[-1])) if more else None)


def first_id(moment: datetime) -> UUID:
    """Below every UUIDv7 of this moment on, and above all from before it: rows are found by time as they are paged."""
    return UUID(int=max(int(moment.timestamp() * 1000), 0) << 80)

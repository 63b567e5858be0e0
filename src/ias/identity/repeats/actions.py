"""Remembering which requests have been begun, and how they were answered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from ias.db import EVERYWHERE, transaction
from ias.identity.repeats.domain import (
    KEPT,
    UNDER_WAY,
    Kept,
    KeyReused,
    OutcomeUnknown,
    Sent,
    SentBefore,
    StillUnderWay,
    checked,
    digest,
    seal,
    unseal,
)
from ias.telemetry import now

_BEGIN = """
INSERT INTO identity.repeats AS r (user_id, key_hash, asked, begun_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (user_id, key_hash) DO UPDATE SET asked = excluded.asked, begun_at = excluded.begun_at, answer = NULL
WHERE r.begun_at < $5 RETURNING 1
"""
_BEFORE = "SELECT asked, begun_at, answer FROM identity.repeats WHERE user_id = $1 AND key_hash = $2"
_FINISH = "UPDATE identity.repeats SET answer = $3 WHERE user_id = $1 AND key_hash = $2"
_DROP = "DELETE FROM identity.repeats WHERE user_id = $1 AND key_hash = $2"
_FORGET = "DELETE FROM identity.repeats WHERE begun_at < $1"

_DONE = Kept(204, (), b"")


async def begin(sent: Sent, within: timedelta = KEPT) -> Kept | None:
    """Begin a request: None where it is new, the first one's answer where it is repeated `within` so long.

    Raises:
        KeyReused: the key was used for another request.
        StillUnderWay: the first one is not answered yet.
        OutcomeUnknown: the first one never was.
    """
    moment = now()
    async with transaction(EVERYWHERE) as connection:
        if await connection.fetchval(_BEGIN, sent.user_id, sent.key_hash, sent.asked, moment, moment - within):
            return None
        row = await connection.fetchrow(_BEFORE, sent.user_id, sent.key_hash)
    if row is None:
        raise StillUnderWay("the first request with this Idempotency-Key has just failed; send it again")
    if row["asked"] != sent.asked:
        raise KeyReused("this Idempotency-Key was sent with another request; use a new key for each")
    if row["answer"] is not None:
        return unseal(row["answer"], sent.secret)
    if moment - row["begun_at"] < UNDER_WAY:
        raise StillUnderWay("the first request with this Idempotency-Key is under way; send it again in a moment")
    raise OutcomeUnknown(
        "the first request with this Idempotency-Key was cut off; look whether it was done, then use a new key"
    )


async def finish(sent: Sent, answer: Kept | None) -> None:
    """Keep the answer; None where the request changed nothing, so that it may be sent again."""
    async with transaction(EVERYWHERE) as connection:
        if answer is None:
            await connection.execute(_DROP, sent.user_id, sent.key_hash)
        else:
            await connection.execute(_FINISH, sent.user_id, sent.key_hash, seal(answer, sent.secret))


@asynccontextmanager
async def once(user_id: UUID, key: str) -> AsyncIterator[None]:
    """Do what a page's form asks for, where the form with this key was not sent before; an empty key is of none.

    Raises:
        SentBefore: it was, and what it asks for was done or is being done.
    """
    if not key:
        yield
        return
    sent = Sent(user_id, checked(key), digest("POST", "", b"", b""))
    try:
        before = await begin(sent)
    except (StillUnderWay, OutcomeUnknown):
        before = _DONE
    if before is not None:
        raise SentBefore("this form was sent before, and what it asks for was done; look at the list before you go on")
    try:
        yield
    except BaseException:
        await finish(sent, None)
        raise
    await finish(sent, _DONE)


async def forget_repeats() -> None:
    """Delete what is older than a day."""
    async with transaction(EVERYWHERE) as connection:
        await connection.execute(_FORGET, now() - KEPT)

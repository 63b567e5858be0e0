"""Letting a browser in: its cookie is the first and only token of a session as every other."""

from datetime import datetime

from ias.db import EVERYWHERE, transaction
from ias.identity.browsers.domain import MOST_AGENT, Session
from ias.identity.sessions.domain import digest
from ias.identity.tables import RefreshTokens
from ias.telemetry import now


async def keep_in_cookie(token: str, agent: str) -> None:
    """Make the token of a session that has just begun a browser's: it is not exchanged any more, and shows pages."""
    async with transaction(EVERYWHERE):
        await RefreshTokens.update(
            {RefreshTokens.browser: True, RefreshTokens.seen_at: now(), RefreshTokens.agent: agent[:MOST_AGENT]}
        ).where(RefreshTokens.token_hash == digest(token))


async def note(session: Session, moment: datetime) -> None:
    """Write down that the browser is here."""
    theirs = (RefreshTokens.family_id == session.family_id) & RefreshTokens.browser.eq(value=True)
    async with transaction(EVERYWHERE):
        await RefreshTokens.update({RefreshTokens.seen_at: moment}).where(theirs)

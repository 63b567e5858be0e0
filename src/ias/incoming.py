"""The whole body of a request before anything else looks at it.

Who sends is looked up when all has come: whoever held their body back would be let in as who they were when they began.
"""

import asyncio
from typing import Final, cast

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, HTTPRequestEvent, Receive, Scope, Send

from ias.problems import Problem

WITHIN_S: Final = 10.0


class TooSlow(Problem):
    """The body did not come in time."""

    status = 408
    title = "Too slow"


class WholeFirst(ASGIMiddleware):
    """Reads a body before whoever sends it is let in.

    Args:
        most: bytes; a longer one is read no further, for it is refused.
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self, most: int) -> None:
        self._most = most

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Go on once the body is there.

        Raises:
            TooSlow: it was not in time.
        """
        try:
            async with asyncio.timeout(WITHIN_S):
                events = await self._read(receive)
        except TimeoutError:
            raise TooSlow(f"the body did not come within {WITHIN_S:g} s; send it again") from None

        async def again() -> HTTPRequestEvent:
            return events.pop(0) if events else cast("HTTPRequestEvent", await receive())

        await next_app(scope, cast("Receive", again), send)

    async def _read(self, receive: Receive) -> list[HTTPRequestEvent]:
        events: list[HTTPRequestEvent] = []
        size = 0
        while not events or (events[-1].get("more_body") and size <= self._most):
            events.append(cast("HTTPRequestEvent", await receive()))
            size += len(events[-1].get("body", b""))
        return events

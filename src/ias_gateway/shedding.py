"""When a new request is turned away at once: the event loop is late, or as many requests run as may.

Work that is taken on while the loop is late makes everybody wait; those under way are finished first.
"""

import asyncio

from ias_gateway.telemetry import Counter

BEAT_S = 0.05
_REASONS = _LATE, _MANY = ("lag",), ("requests",)
"""As labels; counted from 0 on, so that a first one is seen to be one more."""


class Shedding:
    """Knows how late the loop is, and counts whom it turns away.

    Args:
        most: requests at once.
        lag_s: how late the loop may be. It is too late where it is so twice running: one pause, such as of the whole
            machine, is no overload.
        turned_away: counts by reason.
    """

    def __init__(self, most: int, lag_s: float, turned_away: Counter) -> None:
        self._most = most
        self._lag_s = lag_s
        self._turned_away = turned_away
        turned_away.values |= dict.fromkeys(_REASONS, 0.0)
        self._loop = asyncio.get_running_loop()
        self._late = 0
        self._due = self._loop.time() + BEAT_S
        self._timer = self._loop.call_at(self._due, self._beat)

    def turns_away(self, running: int) -> bool:
        """Whether one more beside those that run is too much."""
        if self._late > 1:
            self._turned_away.values[_LATE] += 1
            return True
        if running >= self._most:
            self._turned_away.values[_MANY] += 1
            return True
        return False

    def close(self) -> None:
        """Look no longer."""
        self._timer.cancel()

    def _beat(self) -> None:
        now = self._loop.time()
        self._late = self._late + 1 if now - self._due > self._lag_s else 0
        self._due = now + BEAT_S
        self._timer = self._loop.call_at(self._due, self._beat)

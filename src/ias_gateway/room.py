"""How much of bodies that are still coming a process takes in at once: what waits for its end is memory."""

from typing import Final

from ias_gateway.series import Tally

LARGE_BYTES: Final = 64 * 1024
MOST_BYTES: Final = 128 * 1024 * 1024
"""Of all bodies together; fits beside what else a process needs into what a container is given, 512 MiB."""
OF_SMALL_BYTES: Final = 32 * 1024 * 1024
"""Beyond that, for bodies that are not large: they go on while large ones take all there is."""


class Room:
    """Knows how much has come of bodies that are not complete, and counts those that it has no room for.

    Attributes:
        taken: in bytes.
    """

    def __init__(self, turned_away: Tally) -> None:
        self.taken = 0
        self._turned_away = turned_away

    def take(self, more: int, size: int) -> bool:
        """Whether there is room for `more` bytes of a body of which so many have come with them; then they are in."""
        if self.taken + more > (MOST_BYTES if size > LARGE_BYTES else MOST_BYTES + OF_SMALL_BYTES):
            self._turned_away.count += 1
            return False
        self.taken += more
        return True

    def give_back(self, size: int) -> None:
        """A body is complete, or given up."""
        self.taken -= size

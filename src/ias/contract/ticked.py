"""What a tick has found: how an organisation stands in Redis, and what is to be done about requests under way."""

import msgspec

from ias.contract.answers import Reply, text

_LOST = "lost"


class Ticked(msgspec.Struct, frozen=True, gc=False):
    """What a tick has found.

    Attributes:
        now: Redis's clock in Unix seconds.
        first: the first entry that is still in the outbox; empty where there is none.
        lost: there is no outbox at all.
        epoch: names what Redis holds of the organisation; a new one where all of it was lost.
        marks: requests, and why each must be cut (`revoked`, `suspended`, `swept`) or asserted again (`unknown`).
    """

    now: int
    first: str
    lost: bool
    epoch: str
    marks: tuple[tuple[str, str], ...]

    @property
    def epoch_ms(self) -> int:
        """When the epoch began, in Unix milliseconds by Redis's clock."""
        return int(self.epoch) // 1000


def read_tick(reply: Reply) -> Ticked:
    """What `tick` answered."""
    now, first, epoch, *marks = (text(part) for part in reply)
    lost = first == _LOST
    pairs = tuple(zip(marks[::2], marks[1::2], strict=True))
    return Ticked(int(now), "" if lost else first, lost, epoch, pairs)

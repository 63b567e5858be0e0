"""Which settlements Redis may have lost, by the epoch that it gives to what it holds of an organisation."""

from collections.abc import Collection

from ias.contract.admission import Ticked

MOST_REMEMBERED = 1000
"""Organisations, beyond twice those that have something under way."""


class Epochs:
    """The epoch of each organisation, as last told."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def is_new(self, tag: str, found: Ticked, oldest_ms: int | None) -> bool:
        """Whether Redis has lost what it was told of an organisation, of which `oldest_ms` is the time of the first.

        One that is seen for the first time began before or after that: after it, all that came before may be lost.
        """
        before = self._known.get(tag)
        if before == found.epoch:
            return False
        self._known[tag] = found.epoch
        return before is not None or (oldest_ms is not None and oldest_ms <= found.epoch_ms)

    def forget_all_but(self, tags: Collection[str]) -> None:
        """Let go of organisations that have nothing under way, where they are many."""
        if len(self._known) > MOST_REMEMBERED + 2 * len(tags):
            self._known = {tag: epoch for tag, epoch in self._known.items() if tag in tags}

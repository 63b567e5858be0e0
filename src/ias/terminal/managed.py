"""Saying, beside what is shown, that Git manages it: what is changed here is put back."""

from datetime import UTC, datetime
from typing import Protocol

from ias.terminal.output import say


class Managed(Protocol):
    """What an answer says in `managed_by`."""

    def said(self, moment: datetime, *parts: str) -> str: ...


def say_managed(managed: Managed | None, *parts: str) -> None:
    """Say which file and line manages the first of these parts that Git manages; nothing where it manages none."""
    said = "" if managed is None else managed.said(datetime.now(UTC), *parts)
    if said:
        say(said)

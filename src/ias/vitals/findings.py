"""A finding: one fact about the platform, whether it is as it should be, what to do where not, and its figures."""

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """A number under the name of its metric; `label` is the value of the metric's label, empty where it has none."""

    metric: str
    value: float
    label: str = ""


class Finding(msgspec.Struct, frozen=True):
    """A fact. `said` is a sentence for people; `remedy` says what to do, and is there where it is not well."""

    subject: str
    fact: str
    well: bool
    said: str
    remedy: str = ""
    figures: tuple[Figure, ...] = ()


def well(subject: str, fact: str, said: str, *figures: Figure) -> Finding:
    """As it should be."""
    return Finding(subject, fact, well=True, said=said, figures=figures)


def wrong(subject: str, fact: str, said: str, remedy: str, *figures: Figure) -> Finding:
    """Not as it should be."""
    return Finding(subject, fact, well=False, said=said, remedy=remedy, figures=figures)


def judged(good: bool, finding: Finding) -> Finding:  # noqa: FBT001 - the one thing that is decided
    """The finding as it is where it is not `good`; without its remedy, and well, where it is."""
    return msgspec.structs.replace(finding, well=True, remedy="") if good else finding


def listed(names: list[str], most: int = 5) -> str:
    """Names in a sentence; only the first of many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more

"""What the console leads to: each context says its pages, and who may see them."""

from enum import StrEnum

import msgspec


class Area(StrEnum):
    """The parts of the navigation."""

    ORGANISATION = "Organisation"
    PLATFORM = "Platform"


class Entry(msgspec.Struct, frozen=True):
    """A page that the navigation leads to.

    Attributes:
        label: what it is called.
        path: where it is; `{org_id}` stands for the organisation.
        icon: the name of an icon of Lucide, of `static/vendor/lucide`.
        permission: what one needs to see it; empty is nothing.
        place: where in its area, from 0.
    """

    label: str
    path: str
    icon: str
    permission: str = ""
    place: int = 50
    area: Area = Area.ORGANISATION

    def leads_to(self, org_id: str) -> str:
        """The path, in this organisation; empty where it needs one and there is none."""
        if "{org_id}" in self.path and not org_id:
            return ""
        return self.path.replace("{org_id}", org_id)


class Link(msgspec.Struct, frozen=True):
    """An entry as a page shows it."""

    label: str
    path: str
    icon: str
    here: bool


def links(entries: tuple[Entry, ...], org_id: str, permissions: frozenset[str], path: str) -> dict[str, list[Link]]:
    """What somebody may go to, by area; `path` is where they are."""
    shown: dict[str, list[Link]] = {}
    seen = [
        (entry, entry.leads_to(org_id)) for entry in entries if not entry.permission or entry.permission in permissions
    ]
    here = _closest(path, [target for _, target in seen if target])
    for area in Area:
        there = sorted((each for each in seen if each[0].area == area and each[1]), key=lambda each: each[0].place)
        if there:
            shown[area.value] = [Link(entry.label, to, entry.icon, to == here) for entry, to in there]
    return shown


def _closest(path: str, targets: list[str]) -> str:
    """The longest target that the path is at or below."""
    above = [target for target in targets if path == target or path.startswith(f"{target.rstrip('/')}/")]
    return max(above, key=len, default="")

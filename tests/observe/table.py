"""The table of metrics in docs/metrics.md, read."""

import re
from dataclasses import dataclass
from functools import cache

from tests.observe.asked import ROOT

DOCUMENT = ROOT / "docs" / "metrics.md"
_ROW = re.compile(r"^\| `([a-z_:]+)` \| (\w+) \| ([^|]+) \| ([^|]*)\| (.+) \|$", re.MULTILINE)


@dataclass(frozen=True)
class Documented:
    """A row: `kind` is counter, gauge or histogram."""

    name: str
    kind: str
    unit: str
    labels: frozenset[str]
    meaning: str


@cache
def documented() -> dict[str, Documented]:
    """By name; of a counter with its `_total`."""
    found = {}
    for name, kind, unit, labels, meaning in _ROW.findall(DOCUMENT.read_text()):
        assert name not in found, f"{name} is in the table twice"
        found[name] = Documented(name, kind, unit.strip(), frozenset(re.findall(r"`(\w+)`", labels)), meaning)
    return found

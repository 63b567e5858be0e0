"""What a check found, held against what is justified."""

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
AUDIT = ROOT / ".cache" / "audit" / "bin"
JUSTIFIED = Path(__file__).with_name("justified.yaml")


class Finding(NamedTuple):
    """Where a rule of a check found something, and what."""

    rule: str
    path: str
    line: int
    said: str


class Reason(NamedTuple):
    """Why a rule's finding is right at a path, or at all that match it."""

    rule: str
    path: str
    because: str

    def covers(self, finding: Finding) -> bool:
        return finding.rule == self.rule and fnmatchcase(finding.path, self.path)


def reasons(check: str) -> list[Reason]:
    """What is justified of a check; every entry has a reason."""
    listed = YAML(typ="safe").load(JUSTIFIED.read_text())[check]
    return [Reason(**entry) for entry in listed]


def judged(check: str, found: Iterable[Finding]) -> Iterator[str]:
    """A sentence for each finding that nothing justifies, and for each reason that nothing needs."""
    known, used = reasons(check), set()
    for finding in found:
        covering = {reason for reason in known if reason.covers(finding)}
        used |= covering
        if not covering:
            yield f"{finding.path}:{finding.line}: {finding.rule}: {finding.said}"
    for reason in known:
        if reason not in used:
            yield f"{JUSTIFIED.name}: nothing of {reason.rule} is at {reason.path} any more: take it out"

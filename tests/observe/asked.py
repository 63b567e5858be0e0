"""What dashboards and alert rules ask Prometheus: read from what is committed, not from what it is made of."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

import msgspec
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / "deploy" / "observability"
DASHBOARDS = sorted((HOME / "dashboards").glob("*.json"))
RULES = sorted((HOME / "rules").glob("*.yaml"))

_SELECTOR = re.compile(r"(?<![\w:.$\"=~|])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_WORDS = frozenset(
    (
        "abs",
        "absent",
        "and",
        "avg",
        "bool",
        "by",
        "ceil",
        "changes",
        "clamp_max",
        "clamp_min",
        "count",
        "delta",
        "group_left",
        "histogram_quantile",
        "ignoring",
        "increase",
        "max",
        "min",
        "offset",
        "on",
        "or",
        "rate",
        "sum",
        "time",
        "topk",
        "unless",
        "vector",
        "without",
    )
)
_SUFFIX = re.compile(r"_(?:bucket|sum|count)$")


@dataclass(frozen=True)
class Question:
    """A query of a panel; `instant` where only how it is now is shown."""

    board: str
    panel: str
    legend: str
    query: str
    instant: bool


@dataclass(frozen=True)
class Rule:
    """An alert rule."""

    file: str
    name: str
    query: str
    after_m: int
    """Minutes for which it must hold, in whole ones."""
    labels: Mapping[str, str]
    annotations: Mapping[str, str]


def board(path: Path) -> dict[str, Any]:
    """A dashboard."""
    return msgspec.json.decode(path.read_bytes())


def questions(path: Path) -> Iterator[Question]:
    """Every query of a dashboard."""
    whole = board(path)
    for panel in whole["panels"]:
        for target in panel.get("targets", ()):
            legend = target.get("legendFormat", "")
            yield Question(whole["uid"], panel["title"], legend, target["expr"], target.get("instant", False))


def variables(path: Path) -> dict[str, tuple[str, str]]:
    """The variables of a dashboard that Prometheus answers: of each a metric, and the label whose values it takes."""
    found = {}
    for each in board(path)["templating"]["list"]:
        if each["type"] == "query":
            metric, label = re.fullmatch(r"label_values\((.+), (\w+)\)", each["query"]).groups()
            found[each["name"]] = (metric, label)
    return found


@cache
def rules() -> list[Rule]:
    """Every alert rule."""
    found = []
    for path in RULES:
        for group in YAML(typ="safe", pure=True).load(path)["groups"]:
            found += [
                Rule(path.name, rule["alert"], rule["expr"], _minutes(rule), rule["labels"], rule["annotations"])
                for rule in group["rules"]
            ]
    return found


def _minutes(rule: Mapping[str, Any]) -> int:
    number, unit = re.fullmatch(r"(\d+)([smh])", rule.get("for", "0m")).groups()
    return ceil(int(number) / 60) if unit == "s" else int(number) * {"m": 1, "h": 60}[unit]


def selectors(query: str) -> set[str]:
    """What a query takes from Prometheus: names of series, each with what is in braces after it."""
    kept: list[str] = []

    def keep(text: re.Match[str]) -> str:
        kept.append(text[0])
        return f'"{len(kept) - 1}"'

    plain = _LABELS.sub(" ", _TEXT.sub(keep, query))
    plain = re.sub(r"\[[^\]]*\]", "", plain)
    found = set()
    for name, braces in _SELECTOR.findall(plain):
        if name not in _WORDS and not name[0].isdigit():
            found.add(name + re.sub(r'"(\d+)"', lambda place: kept[int(place[1])], braces))
    return found


def metrics(query: str) -> set[str]:
    """The names alone."""
    return {selector.partition("{")[0] for selector in selectors(query)}


def family(metric: str) -> str:
    """The name that a series' histogram has in the table."""
    return _SUFFIX.sub("", metric)

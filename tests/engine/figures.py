"""What the tests on the real engine found out, as a table and as bench/results/engine.json."""

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from bench.report import Machine, changed, commit, machine

FILE = Path(__file__).parents[2] / "bench" / "results" / "engine.json"
QUESTIONS = ("running usage", "after a disconnect", "cache salt", "totals", "shapes")
"""All that is asked; a run that answers fewer is not kept."""


class Row(msgspec.Struct):
    """One figure: what the gateway says, and what the engine says where both say something."""

    question: str
    case: str
    unit: str
    gateway: float | None = None
    engine: float | None = None


class Figures(msgspec.Struct):
    """Of one run."""

    engine: str
    model: str
    rows: list[Row] = []

    def add(
        self, question: str, case: str, unit: str, *, gateway: float | None = None, engine: float | None = None
    ) -> None:
        """One more figure; times to the millisecond."""
        rounded = [None if figure is None else round(figure, 3) for figure in (gateway, engine)]
        self.rows.append(Row(question, case, unit, *rounded))

    def tell(self) -> None:
        """The table."""
        width = max((len(row.case) for row in self.rows), default=0)
        click.echo(f"\n{self.engine}, {self.model}\n{'question':<19} {'case':<{width}} {'gateway':>9} {'engine':>9}")
        for row in self.rows:
            shown = ("-" if figure is None else f"{figure:g}" for figure in (row.gateway, row.engine))
            click.echo(f"{row.question:<19} {row.case:<{width}} {next(shown):>9} {next(shown):>9} {row.unit}")

    def keep(self) -> None:
        """The file."""
        if {row.question for row in self.rows} != set(QUESTIONS):
            return
        now = datetime.now(UTC).isoformat(timespec="seconds")
        kept = Kept(commit(), changed(), now, self.engine, self.model, machine(), self.rows)
        FILE.write_bytes(msgspec.json.format(msgspec.json.encode(kept), indent=2) + b"\n")


class Kept(msgspec.Struct):
    """The whole of `engine.json`."""

    commit: str
    changed: bool
    measured_at: str
    engine: str
    model: str
    machine: Machine
    rows: list[Row]

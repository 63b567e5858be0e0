"""`python -m bench`: measures the gateway beside other proxies, prints one table, writes results and chart."""

import asyncio
import sys
from pathlib import Path

import click
import uvloop

from bench.bar import OURS
from bench.chart import chart
from bench.peers import AS_WRITTEN, OFFERS
from bench.records import Effort, Results
from bench.report import ROOT, Report, machine, report, write
from bench.rig import open_rig
from bench.table import gaps, table, verdict
from bench.turns import DIRECT, measure

LATEST = ROOT / "bench/results/latest.json"
CHART = ROOT / "docs/images/bench.svg"
QUICK = (OURS, "nginx", "vllm-router")
QUICK_TURNS, QUICK_LOOK_S, QUICK_SECONDS = 3, 0.24, 0.8


def _names(_: click.Context, __: click.Parameter, given: str | None) -> tuple[str, ...]:
    names = tuple(given.split(",")) if given else ()
    unknown = [name for name in names if name not in OFFERS]
    if unknown:
        raise click.BadParameter(f"there is no {', '.join(unknown)}; choose among {', '.join(OFFERS)}")
    return names


@click.command()
@click.option(
    "--turns",
    type=click.IntRange(1),
    default=15,
    show_default=True,
    help="Turns, all proxies being open. One of three has what the bar is not about: other proxies, large prompts.",
)
@click.option(
    "--look", type=click.FloatRange(0.05), default=0.36, show_default=True, help="Seconds of each look of a turn."
)
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=3,
    show_default=True,
    help="How often each proxy is started anew, alone, for its memory and the most streams.",
)
@click.option(
    "--seconds", type=click.FloatRange(0.05), default=1.5, show_default=True, help="Seconds of the look of a round."
)
@click.option("--streams", type=click.IntRange(1), default=1000, show_default=True, help="Streams open at most.")
@click.option("--only", callback=_names, help=f"Names with commas between: {', '.join(OFFERS)}.")
@click.option("--quick", is_flag=True, help=f"A few short turns of {', '.join(QUICK)}, within a minute.")
@click.option("--as-written", is_flag=True, help="Do not compile the gateway, nor look for a compiler.")
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where the JSON goes; a whole run: bench/results/latest.json."
)
def main(  # noqa: PLR0913 - one argument an option
    *,
    turns: int,
    look: float,
    rounds: int,
    seconds: float,
    streams: int,
    only: tuple[str, ...],
    quick: bool,
    as_written: bool,
    out: Path | None,
) -> None:
    """Measure the gateway side by side with other proxies on this machine."""
    if as_written:
        OFFERS[OURS] = OFFERS[AS_WRITTEN]
    effort = Effort(turns, look, rounds, seconds, streams)
    if quick:
        effort = Effort(QUICK_TURNS, QUICK_LOOK_S, 1, QUICK_SECONDS, streams)
    names = only or (QUICK if quick else tuple(OFFERS))
    place = machine()
    with open_rig() as rig, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results = runner.run(measure(rig, names, effort, _say))
    whole = report(results, place, effort)
    missing = {name: record.missing for name, record in results.records.items()}
    click.echo("\n\n".join(filter(None, (table(results.rows()), verdict(whole.bar), gaps(results.absent, missing)))))
    _keep(whole, results, out, partial=bool(only or quick))


def _keep(whole: Report, results: Results, out: Path | None, *, partial: bool) -> None:
    """A partial run does not replace what a whole one has left."""
    path = out if out or partial else LATEST
    if path is None:
        return
    write(whole, path)
    click.echo(f"\nwritten: {path}", err=True)
    if path == LATEST:
        rows = {name: medians for name, medians in results.medians().items() if name != DIRECT}
        cpu, cores = whole.machine.cpu, whole.machine.cores
        CHART.write_text(chart(rows, f"{cpu}, {cores} cores, medians of {whole.turns} turns"))


def _say(text: str) -> None:
    click.echo(f"bench: {text}", err=True)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.faults`: the matrix of faults, as a table that grows; exit code 1 where a row is not clean."""

import asyncio
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
import uvloop

from bench.report import commit
from tests.faults import budgets, engines, gateways, monolith, promises, report, stores
from tests.faults.matrix import Fault, Result, undergo
from tests.faults.rig import Rig, rig
from tests.services import Services, attend, new_folder
from tests.services.ending import end
from tests.services.locks import hold
from tests.services.worlds import choose

GROUPS = (gateways, stores, monolith, engines, budgets, promises)
FAULTS = tuple(fault for group in GROUPS for fault in group.FAULTS)


@click.command()
@click.option("--only", multiple=True, metavar="TEXT", help="Only faults with this in their name; writes nothing.")
@click.option("--logs", type=click.Path(path_type=Path), help="Keep the logs of the processes in this folder.")
def main(only: tuple[str, ...], logs: Path | None) -> None:
    """Harm the whole product in every way that is listed, on a rig of its own, and compare the books each time."""
    chosen = [fault for fault in FAULTS if not only or any(word in fault.name for word in only)]
    measured = commit()
    folder = new_folder()
    owner = hold(folder / "owner")
    attend(folder)
    logs = logs or folder / "product"
    logs.mkdir(parents=True, exist_ok=True)
    (logs / "oracle.jsonl").unlink(missing_ok=True)
    try:
        services = Services(folder, partial(choose, folder, _say))
        with rig(services, logs) as it:
            results = run(it, chosen)
            kept = report.promises(results, it.figures)
    finally:
        end(folder)
        owner.close()
    click.echo()
    for promise in kept:
        found = f"{promise.what}: {promise.found} ({promise.figure})"
        click.echo(f"{promise.number:<4}{'kept  ' if promise.met else 'MISSED'} {found}")
    if not only:
        report.write(measured, results, kept)
    sys.exit(not (all(result.clean for result in results) and all(promise.met for promise in kept)))


def run(it: Rig, faults: Sequence[Fault]) -> list[Result]:
    """One after another."""
    click.echo(report.HEAD)
    results = []
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for fault in faults:
            lacking = [part for part in fault.needs if part not in it.parts]
            if lacking:
                click.echo(f"{fault.name:<58} left out: there is no {', '.join(lacking)} in this world")
                continue
            results.append(runner.run(undergo(it, fault)))
            click.echo(report.line(results[-1].row))
            for wrong in results[-1].wrongs:
                click.echo(f"    NOT CLEAN: {wrong[:700]}")
    return results


def _say(text: str) -> None:
    click.echo(f"faults: {text}", err=True)


if __name__ == "__main__":
    main()

"""`python -m tests.soak`: soaks the product for ten minutes and prints the figures; exit code 1 for a missed bar."""

import asyncio
import os
import sys
from functools import partial
from pathlib import Path

import click
import uvloop

from bench.report import machine
from tests.services import Services, attend, new_folder
from tests.services.ending import end
from tests.services.locks import hold
from tests.services.worlds import choose
from tests.soak.figures import LATEST, complaints, report, table, write
from tests.soak.place import own_services, place
from tests.soak.run import Effort, Soak, soak

WHOLE_S = 600.0
PRODUCTION = {"IAS_SHED_LAG_MS": "250"}
"""What tests of other things set otherwise."""


@click.command()
@click.option("--seconds", type=click.FloatRange(10), default=WHOLE_S, show_default=True, help="How long.")
@click.option("--clients", type=click.IntRange(1), default=24, show_default=True, help="Requests at once, at most.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of all that is drawn at random.")
@click.option("--out", type=click.Path(path_type=Path), help="The JSON; of a whole run: bench/results/soak.json.")
def main(seconds: float, clients: int, seed: int, out: Path | None) -> None:
    """Soak the whole product, as processes of its own on services of its own."""
    before = machine()
    effort = Effort(seconds, clients, seed=seed)
    whole = _run(effort)
    done = report(whole, effort, before, round(os.getloadavg()[0], 2))
    click.echo(table(done))
    path = out or (LATEST if seconds >= WHOLE_S else None)
    if path is not None:
        write(done, path)
        click.echo(f"\nwritten: {path}", err=True)
    if not all(row.met for row in done.rows):
        click.echo(complaints(whole), err=True)
        sys.exit(1)


def _run(effort: Effort) -> Soak:
    folder = new_folder()
    owner = hold(folder / "owner")
    attend(folder)
    logs = folder / "product"
    logs.mkdir()
    try:
        services = Services(folder, partial(choose, folder, _say))
        with own_services(services) as urls, place(urls, logs, PRODUCTION) as it:
            _say(f"everything runs; load average {os.getloadavg()[0]:.1f}")
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                return runner.run(soak(it, effort, _say))
    finally:
        end(folder)
        owner.close()


def _say(text: str) -> None:
    click.echo(f"soak: {text}", err=True)


if __name__ == "__main__":
    main()

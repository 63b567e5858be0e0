"""`python -m bench.scale`: the management API of a platform with a million keys, at a fixed rate; see docs/speed.md."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from bench.driving import Costs, Drive, Row, Try, callers, covered, logins
from bench.ground import Ground, open_ground
from bench.mix import Mix
from bench.population import Population, Size, imagine
from bench.report import ROOT, Machine, changed, commit, machine, write
from bench.seeding import hashed, seed

LATEST = ROOT / "bench/results/scale.json"
WHOLE = Size(organisations=1000, members=100_000, keys=1_000_000, busy=50)
QUICK = Size(organisations=50, members=1000, keys=10_000, busy=5)


class Seeded(msgspec.Struct):
    """What there was, and how long it took to copy it in."""

    organisations: int
    members: int
    keys: int
    seconds: float


class Report(msgspec.Struct):
    """The whole of `scale.json`."""

    commit: str
    changed: bool
    measured_at: str
    machine: Machine
    world: str
    seeded: Seeded
    tries: list[Try]
    costs: Costs
    rows: list[Row]


@click.command()
@click.option("--rate", type=click.FloatRange(1), default=500, show_default=True, help="Requests a second.")
@click.option("--seconds", type=click.FloatRange(1), default=60, show_default=True, help="How long they are measured.")
@click.option("--quick", is_flag=True, help="10,000 keys, 100 requests/s, 3 s: whether it runs at all.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the JSON goes; a whole run: bench/results.")
def main(*, rate: float, seconds: float, quick: bool, out: Path | None) -> None:
    """Measure the management API at scale on this machine."""
    size, rate, seconds = (QUICK, 100, 3) if quick else (WHOLE, rate, seconds)
    place, people = machine(), imagine(size)
    with open_ground(queue=False) as ground:
        began = time.monotonic()
        asyncio.run(seed(ground.postgres.url, people, size, hashed()))
        seeded = Seeded(size.organisations, size.members, size.keys, round(time.monotonic() - began, 1))
        click.echo(f"seeded in {seeded.seconds} s")
        tries, costs, rows = _drive(ground, people, rate, seconds)
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    whole = Report(commit(), changed(), moment, place, ground.world, seeded, tries, costs, rows)
    _say(whole)
    path = out if out or quick else LATEST
    if path is not None:
        write(whole, path)
        click.echo(f"\nwritten: {path}", err=True)


def _drive(ground: Ground, people: Population, rate: float, seconds: float) -> tuple[list[Try], Costs, list[Row]]:
    drive = Drive(ground)
    covered(drive.port)
    everybody = callers(people)
    mix = Mix(people, everybody, 1)
    tries, costs, rows = drive.highest(mix, rate, seconds)
    return tries, costs, [*rows, logins(drive.port, everybody)]


def _say(whole: Report) -> None:
    for row in whole.rows:
        bar = "" if row.bar_ms is None or row.p99_ms < row.bar_ms else "  missed"
        click.echo(f"{row.route:60}{row.rps:>7.0f}/s{row.p50_ms:>9.1f} ms{row.p99_ms:>9.1f} ms{row.count:>7}{bar}")
    click.echo(msgspec.json.encode([whole.tries, whole.costs, whole.seeded]).decode())


if __name__ == "__main__":
    main()

"""`python -m bench.scale`: the management API of a platform with a million keys, at a fixed rate; see docs/speed.md."""

import asyncio
import os
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from bench.driving import Costs, Drive, Page, Row, Try, callers, covered, logins, visited
from bench.ground import Ground, open_ground
from bench.mix import Caller, Mix
from bench.pages import FEW, TIMES
from bench.population import Population, Size, imagine
from bench.report import ROOT, Machine, changed, commit, machine, write
from bench.seeding import hashed, seed

LATEST = ROOT / "bench/results/scale.json"
WHOLE = Size(organisations=1000, members=100_000, keys=1_000_000, busy=50, events=10_000_000)
QUICK = Size(organisations=50, members=1000, keys=10_000, busy=5)
ANALYTICS_RPS = 20
"""What two cores answer of analytics alone, so that times are those of answers and not of a queue."""


class Seeded(msgspec.Struct):
    """What there was, and how long it took to copy it in; of that, events and all sums of them."""

    organisations: int
    members: int
    keys: int
    events: int
    seconds: float
    events_s: float
    rollups_s: float


class Analytics(msgspec.Struct):
    """The routes of analytics alone, asked by people of all organisations, and by those of the largest one.

    `load` is the load average of a minute when it began, `largest_events` how many events the largest one has.
    """

    load: float
    rps: float
    largest_events: int
    anybody: list[Row]
    largest: list[Row]
    failures: dict[str, int]


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
    analytics: Analytics
    pages: list[Page]


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
        loaded = asyncio.run(seed(ground.postgres.url, people, size, hashed()))
        sizes = size.organisations, size.members, size.keys, size.events
        seeded = Seeded(*sizes, round(time.monotonic() - began, 1), loaded.events_s, loaded.rollups_s)
        click.echo(f"seeded in {seeded.seconds} s")
        driven = _drive(ground, people, rate, seconds)
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    whole = Report(commit(), changed(), moment, place, ground.world, seeded, *driven)
    _say(whole)
    path = out if out or quick else LATEST
    if path is not None:
        write(whole, path)
        click.echo(f"\nwritten: {path}", err=True)


def _drive(
    ground: Ground, people: Population, rate: float, seconds: float
) -> tuple[list[Try], Costs, list[Row], Analytics, list[Page]]:
    drive = Drive(ground)
    covered(drive.port)
    everybody = callers(people)
    analytics = _analytics(drive, people, everybody, seconds)
    pages = visited(drive.port, people, everybody, FEW if len(people.tenants) <= QUICK.organisations else TIMES)
    tries, costs, rows = drive.highest(Mix(people, everybody, 1), rate, seconds)
    return tries, costs, [*rows, logins(drive.port, everybody)], analytics, pages


def _analytics(drive: Drive, people: Population, everybody: list[Caller], seconds: float) -> Analytics:
    events = drive.events_of(people.tenants[0])
    load, failures, rows = round(os.getloadavg()[0], 2), dict[str, int](), list[list[Row]]()
    largest = [each for each in everybody if each.tenant is people.tenants[0]]
    admins = [replace(each, tenant=people.tenants[0]) for each in everybody if each.role == "system"]
    for who in (everybody, [*largest, *admins]):
        tried, told = drive.analytics(Mix(people, who, 1), ANALYTICS_RPS, seconds)
        rows.append(told)
        failures |= tried.failures
    return Analytics(load, ANALYTICS_RPS, events, *rows, failures)


def _say(whole: Report) -> None:
    told = whole.analytics
    for heading, rows in (
        (f"analytics alone, load average {told.load}", told.anybody),
        (f"… of the largest organisation, with {told.largest_events} events", told.largest),
        ("all routes together", whole.rows),
    ):
        click.echo(heading)
        for row in rows:
            bar = "" if row.bar_ms is None or row.p99_ms < row.bar_ms else "  missed"
            click.echo(f"{row.route:60}{row.rps:>7.0f}/s{row.p50_ms:>9.1f} ms{row.p99_ms:>9.1f} ms{row.count:>7}{bar}")
    click.echo("pages of the console, one after the other")
    for page in whole.pages:
        bar = "" if page.p99_ms < page.bar_ms and not page.failures else f"  missed {page.failures or ''}"
        click.echo(f"{page.route:60}{page.p50_ms:>9.1f} ms{page.p99_ms:>9.1f} ms{page.kilobytes:>7} KiB{bar}")
    click.echo(msgspec.json.encode([whole.tries, whole.costs, whole.seeded]).decode())


if __name__ == "__main__":
    main()

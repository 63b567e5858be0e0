"""`python -m bench.intake`: how fast usage is booked and counted, and how a large backlog drains; see the README."""

import sys
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import asyncpg
import click
import msgspec
import uvloop

from bench.backlog import QUEUES, declare, fill_outboxes, fill_queue
from bench.drain import Drain, Watch
from bench.ground import BIN, Ground, found, open_ground
from bench.report import ROOT, Machine, changed, commit, machine, write
from ias.contract.usage import ANALYTICS_QUEUE, LEDGER_QUEUE
from ias.db import uuid7
from ias.edge import Edge
from tests.services.process import Process

LATEST = ROOT / "bench/results/intake.json"
ORGANISATIONS = 50
MEMBERS = 5
_CEILING_BATCH = 2000
CEILING = """
INSERT INTO ceiling SELECT * FROM unnest($1::uuid[], $2::integer[], $3::bigint[], $4::bigint[]) ON CONFLICT DO NOTHING
"""


class Report(msgspec.Struct):
    """The whole of `intake.json`.

    `ceiling_per_second` is what the same PostgreSQL takes in plain `unnest` inserts with on-conflict of four columns,
    2,000 rows at a time on one connection, in the same run: what the machine gave that day.
    """

    commit: str
    changed: bool
    measured_at: str
    machine: Machine
    world: str
    ceiling_per_second: float
    drains: list[Drain]


@click.command()
@click.option("--events", type=click.IntRange(1000), default=200_000, show_default=True, help="Of each rate.")
@click.option("--backlog", type=click.IntRange(1000), default=1_000_000, show_default=True, help="Of each drain.")
@click.option("--quick", is_flag=True, help="20,000 and 60,000: whether it runs at all.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the JSON goes; a whole run: bench/results.")
def main(*, events: int, backlog: int, quick: bool, out: Path | None) -> None:
    """Measure the consumers of usage, the relay and the janitor on this machine."""
    counts = (20_000, 60_000) if quick else (events, backlog)
    place = machine()
    with open_ground(queue=True) as ground:
        found(ground, ORGANISATIONS, MEMBERS)
        ceiling, drains = uvloop.run(_measure(ground, *counts))
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    whole = Report(commit(), changed(), moment, place, ground.world, ceiling, drains)
    path = out if out or quick else LATEST
    if path is not None:
        write(whole, path)
        click.echo(f"\nwritten: {path}", err=True)


async def _measure(ground: Ground, events: int, backlog: int) -> tuple[float, list[Drain]]:
    connection, edge = await asyncpg.connect(ground.postgres.url), Edge(ground.redis.url)
    watch = Watch(ground, connection, edge)
    ceiling = await _ceiling(connection, events)
    click.echo(f"{'plain unnest inserts':28}{ceiling:>9,.0f}/s")
    drains = []
    for name, queues in (("billing", [LEDGER_QUEUE]), ("analytics", [ANALYTICS_QUEUE]), ("both", list(QUEUES))):
        await declare(ground)
        await fill_queue(ground, events, queues[0] if len(queues) == 1 else None)
        await connection.execute("CHECKPOINT")
        drains.append(await watch.drain(name, events, queues, partial(_consumer, ground, queues)))
        _say(drains[-1], ceiling)
    await fill_queue(ground, backlog, None)
    await connection.execute("CHECKPOINT")
    drains.append(await watch.drain("worker, from the queue", backlog, QUEUES, partial(_worker, ground)))
    _say(drains[-1], ceiling)
    await fill_outboxes(ground, backlog)
    await connection.execute("CHECKPOINT")
    drains.append(await watch.drain("worker, from Redis", backlog, QUEUES, partial(_worker, ground), outbox=True))
    _say(drains[-1], ceiling)
    await edge.close()
    await connection.close()
    return ceiling, drains


async def _ceiling(connection: asyncpg.Connection, count: int) -> float:
    await connection.execute(
        "CREATE TABLE ceiling (id uuid, line integer, prompt bigint, completion bigint, PRIMARY KEY (id, line))"
    )
    batches = [[uuid7() for _ in range(_CEILING_BATCH)] for _ in range(count // _CEILING_BATCH)]
    ones, numbers = [1] * _CEILING_BATCH, list(range(_CEILING_BATCH))
    began = time.monotonic()
    for ids in batches:
        await connection.execute(CEILING, ids, ones, numbers, numbers)
    return round(len(batches) * _CEILING_BATCH / (time.monotonic() - began), 0)


def _consumer(ground: Ground, queues: list[str]) -> Process:
    return ground.start("consumer", (sys.executable, "-m", "bench.consumer", *queues))


def _worker(ground: Ground) -> Process:
    return ground.start("worker", (str(BIN / "ias"), "worker"))


def _say(drain: Drain, ceiling: float) -> None:
    cpu = f"{drain.consumer_us:.0f}+{drain.postgres_us:.0f}+{drain.rabbitmq_us:.0f}+{drain.redis_us:.0f} µs"
    memory = "{:.0f} → {:.0f} → {:.0f} MiB".format(*drain.worker_mb)
    redis = "Redis {:.0f} → {:.0f} MiB".format(*drain.redis_mb)
    share = f"{drain.per_second / ceiling:.0%}"
    click.echo(f"{drain.name:28}{drain.per_second:>9,.0f}/s  {share:>4} of plain  {cpu}  {memory}  {redis}")


if __name__ == "__main__":
    sys.exit(main())

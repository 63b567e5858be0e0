"""`python -m bench.rebuild`: telling an emptied Redis of a million keys: how long, and what it costs meanwhile."""

import asyncio
import secrets
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import asyncpg
import click
import msgspec
import uvloop

from bench.ground import BIN, Ground, Organisation, cpu_s, found, open_ground, rss_mb
from bench.report import ROOT, Machine, changed, commit, machine, write
from ias.contract import admission, keys
from ias.contract.admission import Admitted, Ask
from ias.db import uuid7
from ias.edge import Edge
from tests.services.process import Process

LATEST = ROOT / "bench/results/rebuild.json"
EVERY_S = 0.25
PROBE_EVERY_S = 0.005
SLOW_US = 1000
_COPIED = 50_000


class Latency(msgspec.Struct):
    """Of a reservation and its settlement, one after the other, as a client of Redis sees it; milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float
    worst_ms: float


class Sample(msgspec.Struct):
    """So many seconds after the start. Memory is MiB."""

    at_s: float
    keys: int
    worker_mb: float
    redis_mb: float


class Report(msgspec.Struct):
    """The whole of `rebuild.json`. `slowest_calls_ms` is by Redis itself, of each function that took 1 ms or more."""

    commit: str
    changed: bool
    measured_at: str
    machine: Machine
    world: str
    keys: int
    organisations: int
    seconds: float
    keys_per_second: float
    worker_cpu_s: float
    postgres_cpu_s: float
    redis_cpu_s: float
    worker_peak_mb: float
    redis_mb: float
    redis_bytes_per_key: float
    admissions_quiet: Latency
    admissions_meanwhile: Latency
    slowest_calls_ms: dict[str, float]
    samples: list[Sample]


@click.command()
@click.option("--keys", "count", type=click.IntRange(1000), default=1_000_000, show_default=True)
@click.option("--organisations", type=click.IntRange(1), default=1000, show_default=True)
@click.option("--quick", is_flag=True, help="50,000 keys of 100 organisations: whether it runs at all.")
@click.option("--out", type=click.Path(path_type=Path), help="Where the JSON goes; a whole run: bench/results.")
def main(*, count: int, organisations: int, quick: bool, out: Path | None) -> None:
    """Measure a full rebuild of the projection on this machine."""
    count, organisations = (50_000, 100) if quick else (count, organisations)
    place = machine()
    with open_ground(queue=False) as ground:
        found(ground, organisations, 10)
        whole = uvloop.run(_measure(ground, count, place))
    path = out if out or quick else LATEST
    click.echo(msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(whole, samples=[]))).decode())
    if path is not None:
        write(whole, path)
        click.echo(f"\nwritten: {path}", err=True)


async def _measure(ground: Ground, count: int, place: Machine) -> Report:
    probed, token = ground.organisations[0], keys.mint(ground.organisations[0].tag)
    await _seed(ground, count, token)
    edge = Edge(ground.redis.url)
    quiet = await _quiet(ground, edge, probed, token)
    await edge.call(("FLUSHALL",))
    await edge.call(("CONFIG", "SET", "slowlog-log-slower-than", SLOW_US))
    await edge.call(("CONFIG", "SET", "slowlog-max-len", 10_000))
    await edge.call(("SLOWLOG", "RESET"))
    before = cpu_s(ground.postgres), cpu_s(ground.redis)
    began = time.monotonic()
    process, over = _rebuild(ground), asyncio.Event()
    probing = asyncio.create_task(_probe(edge, probed.tag, token, over))
    samples, worker_cpu_s = await _watch(edge, process, began)
    seconds = time.monotonic() - began
    over.set()
    meanwhile = _latency(await probing)
    if not await edge.whole():
        raise RuntimeError(process.log.read_text(errors="replace")[-2000:])
    used = samples[-1].redis_mb
    whole = Report(
        commit=commit(),
        changed=changed(),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=place,
        world=ground.world,
        keys=count,
        organisations=len(ground.organisations),
        seconds=round(seconds, 1),
        keys_per_second=round(count / seconds),
        worker_cpu_s=round(worker_cpu_s, 1),
        postgres_cpu_s=round(cpu_s(ground.postgres) - before[0], 1),
        redis_cpu_s=round(cpu_s(ground.redis) - before[1], 1),
        worker_peak_mb=max(sample.worker_mb for sample in samples),
        redis_mb=used,
        redis_bytes_per_key=round(used * 2**20 / count),
        admissions_quiet=quiet,
        admissions_meanwhile=meanwhile,
        slowest_calls_ms=await _slowest(edge),
        samples=samples,
    )
    await edge.close()
    return whole


async def _seed(ground: Ground, count: int, token: str) -> None:
    """Keys of all members in turn, the first one's `token` among them."""
    connection = await asyncpg.connect(ground.postgres.url)
    rows = _rows(ground.organisations, count, keys.fingerprint(token))
    while some := list(islice(rows, _COPIED)):
        await connection.copy_records_to_table(
            "api_keys",
            schema_name="identity",
            columns=("id", "org_id", "user_id", "label", "prefix", "fingerprint"),
            records=some,
        )
    await connection.execute("ANALYZE identity.api_keys")
    await connection.execute("CHECKPOINT")
    await connection.close()


def _rows(orgs: list[Organisation], count: int, known: str) -> Iterator[tuple[object, ...]]:
    for number in range(count):
        org = orgs[number % len(orgs)]
        user, _ = org.holders[number // len(orgs) % len(org.holders)]
        yield uuid7(), org.id, user, "", "", secrets.token_hex(32) if number else known


async def _quiet(ground: Ground, edge: Edge, org: Organisation, token: str) -> Latency:
    """How admissions do while nothing else goes on; of one organisation, which is projected for it."""
    process = _rebuild(ground)
    await _watch(edge, process, time.monotonic())
    over = asyncio.Event()
    probing = asyncio.create_task(_probe(edge, org.tag, token, over))
    await asyncio.sleep(3)
    over.set()
    return _latency(await probing)


def _rebuild(ground: Ground) -> Process:
    return ground.start("rebuild", (str(BIN / "ias"), "projection", "rebuild"))


async def _watch(edge: Edge, process: Process, began: float) -> tuple[list[Sample], float]:
    """Samples until the process has ended, and the CPU that it used."""
    samples, cpu = [], 0.0
    while process.running:
        cpu = max(cpu, cpu_s(process))
        worker_mb = rss_mb(process)
        info = await edge.call(("INFO", "memory"))
        size = await edge.call(("DBSIZE",))
        assert isinstance(info, dict)
        assert isinstance(size, int)
        redis_mb = round(int(info["used_memory"]) / 2**20, 1)
        samples.append(Sample(round(time.monotonic() - began, 2), size, round(worker_mb, 1), redis_mb))
        await asyncio.sleep(EVERY_S)
    return samples, cpu


async def _probe(edge: Edge, tag: str, token: str, over: asyncio.Event) -> list[float]:
    """Reserve and settle again and again; the seconds that each admitted one took."""
    taken: list[float] = []
    ask = Ask("model-0", 10, 1, 10, "chat", streamed=False)
    while not over.is_set():
        request_id = str(uuid7())
        began = time.perf_counter()
        reserve = admission.reserve(tag, keys.fingerprint(token), request_id, ask, ("gateway-1", 30))
        admitted = admission.read_reserve(await edge.call(reserve))
        if isinstance(admitted, Admitted):
            settle = admission.settle(tag, request_id, (10, 5, 0), ("completed", False), b"{}")
            await edge.call((*settle, *admission.holder_of(admitted, "gateway-1")))
            taken.append(time.perf_counter() - began)
        await asyncio.sleep(PROBE_EVERY_S)
    return taken


def _latency(taken: list[float]) -> Latency:
    ordered = sorted(taken) or [0.0]
    at = [ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99, 1.0)]
    return Latency(len(taken), *(round(seconds * 1000, 2) for seconds in at))


async def _slowest(edge: Edge) -> dict[str, float]:
    """The longest time that each function, or command, took of those above the log's threshold; milliseconds."""
    slowest: dict[str, float] = {}
    for entry in await edge.redis.slowlog_get(10_000):
        words = entry["command"].decode(errors="replace").split()
        name = words[1] if words[0].upper().startswith("FCALL") else words[0]
        slowest[name] = max(slowest.get(name, 0.0), round(entry["duration"] / 1000, 2))
    return slowest


if __name__ == "__main__":
    sys.exit(main())

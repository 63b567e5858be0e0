"""Interleaved rounds: each measures every proxy once, in an order that turns; what counts is the median."""

import asyncio
import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from statistics import median

from bench.peers import OFFERS, Absent, Peer
from bench.phases import LAUNCHES, Figures, Phase, PhaseFailed, Subject
from bench.rig import Meter, Rig

DIRECT = "direct"
SETTLE_S = 0.3
ENGINE_WITHIN_S = 20.0
_ADDED = {
    "unary_us_p50": "unary_added_us_p50",
    "unary_us_p99": "unary_added_us_p99",
    "first_token_us_p50": "first_token_added_us_p50",
    "first_token_us_p95": "first_token_added_us_p95",
    "first_token_us_p99": "first_token_added_us_p99",
}
"""What is a latency, and what it is called less that of the engine without a proxy in the same round."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How often, how long each look takes, and how many streams are open at most."""

    rounds: int
    seconds: float
    streams: int


@dataclass
class Record:
    """All that was seen of one proxy: figures by name, one a round, and why some are missing."""

    peer: Peer
    figures: dict[str, list[float]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def note(self, figures: Figures) -> None:
        """Take in what a phase found."""
        for name, value in figures.items():
            self.figures.setdefault(name, []).append(value)

    def medians(self) -> dict[str, float]:
        """The median of each figure over the rounds."""
        return {name: median(values) for name, values in self.figures.items()}


@dataclass
class Results:
    """The records of the proxies that ran, and why others did not."""

    records: dict[str, Record] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)


async def measure(rig: Rig, names: Sequence[str], effort: Effort, say: Say) -> Results:
    """Measure the proxies of these names, and the engine itself."""
    results = _offered(names)
    gc.collect()
    gc.freeze()
    order = list(results.records)
    for number in range(effort.rounds):
        seen: dict[str, Figures] = {}
        for name in order[number % len(order) :] + order[: number % len(order)]:
            if name in results.records:
                say(f"round {number + 1} of {effort.rounds}: {name}")
                seen[name] = await _one(rig, results, name, effort)
        for name in seen.keys() & results.records.keys():
            results.records[name].note(seen[name] | _added(seen[name], seen.get(DIRECT, {})))
    return results


def _offered(names: Sequence[str]) -> Results:
    results = Results()
    for name in dict.fromkeys((DIRECT, *names)):
        try:
            results.records[name] = Record(OFFERS[name]())
        except Absent as error:
            results.absent[name] = str(error)
    return results


async def _one(rig: Rig, results: Results, name: str, effort: Effort) -> Figures:
    """One proxy, once: started anew for each launch."""
    record = results.records[name]
    figures: Figures = {}
    for phases in LAUNCHES:
        try:
            with rig.engine() as engine:
                await _listening(engine)
                async with record.peer.open(rig, engine) as running:
                    meter = Meter(running.process) if running.process else None
                    await asyncio.sleep(SETTLE_S)
                    subject = Subject(running.target, meter, effort.seconds, effort.streams)
                    for phase in phases:
                        figures |= await _phase(record, phase, subject)
        except Absent as error:
            results.absent[name] = str(error)
            del results.records[name]
            return {}
    return figures


async def _phase(record: Record, phase: Phase, subject: Subject) -> Figures:
    try:
        return await phase(subject)
    except PhaseFailed as error:
        record.missing[phase.__name__] = str(error)
    except (OSError, TimeoutError) as error:
        record.missing[phase.__name__] = str(error) or "it did not answer in time"
    return {}


async def _listening(port: int) -> None:
    async with asyncio.timeout(ENGINE_WITHIN_S):
        while True:
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


def _added(figures: Mapping[str, float], direct: Mapping[str, float]) -> Figures:
    return {added: figures[name] - direct[name] for name, added in _ADDED.items() if name in figures and name in direct}

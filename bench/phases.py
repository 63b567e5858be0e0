"""What is measured of one proxy: each phase loads it, waits until it runs evenly, then looks for a while."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

from bench import exchange
from bench.load import Caller, Load, Tally, Target, calling
from bench.rig import Meter

WARM_S = 0.15
OPEN_WITHIN_S = 20.0
LONGEST_S = 5.0
"""Within which a slow proxy answers every connection once, else a look ends without."""
REST_S = 0.02
IDLE_SHARE = 0.1
MANY = 64
FEW_STREAMS = 200
PROBES = 4
Figures = dict[str, float]


class PhaseFailed(Exception):
    """The proxy did not do what this phase asks of it."""


@dataclass(frozen=True)
class Subject:
    """The proxy under measurement, and the port of its engine; `meter` is None for the engine itself.

    A look takes `seconds`, and `streams` are open at most.
    """

    target: Target
    engine: int
    meter: Meter | None
    seconds: float
    streams: int


@dataclass(frozen=True)
class Look:
    """What happened while we looked."""

    seconds: float
    cpu_s: float
    answers: int
    events: int


async def memory(subject: Subject) -> Figures:
    """Many open streams against none, and what a token of them costs."""
    before = subject.meter.rss_kb() if subject.meter else 0.0
    figures = await _paced(subject, subject.streams)
    after = figures.pop("rss_kb")
    return {
        "rss_kb_per_stream": (after - before) / subject.streams,
        "rss_idle_kb": before,
        "paced_many_cpu_us_per_chunk": figures["cpu_us"],
        "paced_many_delivered": figures["delivered"],
    }


async def paced(subject: Subject) -> Figures:
    """Some streams with a token each 20 ms."""
    figures = await _paced(subject, min(FEW_STREAMS, subject.streams))
    return {"paced_cpu_us_per_chunk": figures["cpu_us"], "paced_delivered": figures["delivered"]}


async def unary(subject: Subject) -> Figures:
    """Without streaming, over 64 connections."""
    look, _ = await _asked(subject, Load(subject.target, exchange.request_body(exchange.UNARY), MANY))
    return {
        "unary_cpu_us": _per(look, look.answers),
        "unary_rps": look.answers / look.seconds,
        "unary_core_share": look.cpu_s / look.seconds,
    }


async def unary_alone(subject: Subject) -> Figures:
    """Without streaming, over one connection."""
    look, tally = await _asked(subject, Load(subject.target, exchange.request_body(exchange.UNARY), 1))
    return {
        "unary_1_cpu_us": _per(look, look.answers),
        "unary_1_rps": look.answers / look.seconds,
        "unary_us_p50": _percentile(tally.whole_s, 50),
        "unary_us_p99": _percentile(tally.whole_s, 99),
    }


async def large(subject: Subject) -> Figures:
    """Without streaming, over 64 connections, with a prompt of 64 KB."""
    body = exchange.request_body(exchange.UNARY, exchange.LARGE_BYTES)
    look, _ = await _asked(subject, Load(subject.target, body, MANY))
    return {"large_cpu_us": _per(look, look.answers), "large_rps": look.answers / look.seconds}


async def bursts(subject: Subject) -> Figures:
    """Streams whose 66 events come at once, over 64 connections."""
    look, _ = await _asked(subject, Load(subject.target, exchange.request_body(exchange.BURST), MANY))
    return {
        "burst_cpu_us": _per(look, look.events) * exchange.BURST_EVENTS,
        "burst_cpu_us_per_chunk": _per(look, look.events),
        "burst_rps": look.events / exchange.BURST_EVENTS / look.seconds,
    }


async def first_tokens(subject: Subject) -> Figures:
    """Time to the first event of short paced streams, a few at a time, at odds with the engine's clock."""
    body = exchange.request_body(exchange.BRIEF)
    _, tally = await _asked(subject, Load(subject.target, body, PROBES, pause_s=exchange.PACE_S))
    if not tally.first_s:
        raise PhaseFailed("no stream began while we looked")
    return {f"first_token_us_p{at}": _percentile(tally.first_s, at) for at in (50, 95, 99)}


Phase = Callable[[Subject], Awaitable[Figures]]


@dataclass(frozen=True)
class Part:
    """A phase of a turn, and in one of how many turns it comes."""

    phase: Phase
    every: int = 1


IN_TURNS = (Part(unary_alone), Part(unary), Part(bursts), Part(large, every=3), Part(first_tokens), Part(paced))
"""Each turn has what the bar asks about."""
ALONE = memory
"""On a process of its own: what other phases leave in its allocator would hide the streams, and what some proxies do
not close behind a thousand clients that left would weigh on the others."""


async def _asked(subject: Subject, load: Load) -> tuple[Look, Tally]:
    """Connections that ask again when they are answered."""
    tally = Tally()
    async with _loading(subject, load, tally):
        await _until(tally, WARM_S, load.connections)
        tally.first_s.clear()
        tally.whole_s.clear()
        look = await _look(subject, tally, load.connections)
    _judge(tally, look.answers or look.events)
    return look, tally


async def _paced(subject: Subject, streams: int) -> Figures:
    tally = Tally()
    load = Load(subject.target, exchange.request_body(exchange.PACED), streams)
    async with _loading(subject, load, tally) as callers:
        await _all_started(callers)
        await asyncio.sleep(WARM_S * 2)
        look = await _look(subject, tally, 0)
        rss = subject.meter.rss_kb() if subject.meter else 0.0
    _judge(tally, look.events)
    # Who gets more than is due has been behind before, and catches up.
    share = look.events / (streams * look.seconds / exchange.PACE_S)
    return {"cpu_us": _per(look, look.events), "delivered": min(share, 1 / share), "rss_kb": rss}


@asynccontextmanager
async def _loading(subject: Subject, load: Load, tally: Tally) -> AsyncIterator[list[Caller]]:
    """Callers; once they have left, however it went, who comes next has the core to itself."""
    try:
        async with calling(load, tally) as callers:
            yield callers
    finally:
        await _hush(subject)
        await _rest(subject)


async def _all_started(callers: Sequence[Caller]) -> None:
    _, waiting = await asyncio.wait([caller.started for caller in callers], timeout=OPEN_WITHIN_S)
    if waiting:
        raise PhaseFailed(f"{len(waiting)} of {len(callers)} streams did not begin within {OPEN_WITHIN_S:.0f} s")


async def _look(subject: Subject, tally: Tally, enough: int) -> Look:
    """Look for the seconds that the run gives, and longer where it takes longer until so many answers came."""
    meter = subject.meter
    began, cpu, answers, events = perf_counter(), meter.cpu_s() if meter else 0.0, tally.answers, tally.events
    await _until(tally, subject.seconds, enough)
    seconds = perf_counter() - began
    used = (meter.cpu_s() if meter else 0.0) - cpu
    return Look(seconds, used, tally.answers - answers, tally.events - events)


async def _until(tally: Tally, seconds: float, answers: int) -> None:
    """These seconds; then until so many answers came since the start, unless one fails or it takes too long."""
    due, last = tally.answers + answers, perf_counter() + LONGEST_S
    await asyncio.sleep(seconds)
    while perf_counter() < last:
        if tally.answers >= due or tally.failures:
            return
        await asyncio.sleep(0.01)


async def _hush(subject: Subject) -> None:
    """End the streams that the engine still writes: some proxies read on for clients that left."""
    async with calling(Load(Target(subject.engine), exchange.request_body(exchange.HUSH), 1), Tally()) as callers:
        await _all_started(callers)


async def _rest(subject: Subject) -> None:
    """Until the proxy has put away what clients left behind."""
    last = perf_counter() + LONGEST_S
    busy = True
    while busy and perf_counter() < last:
        cpu = subject.meter.cpu_s() if subject.meter else 0.0
        await asyncio.sleep(REST_S)
        busy = (subject.meter.cpu_s() if subject.meter else 0.0) - cpu > REST_S * IDLE_SHARE


def _judge(tally: Tally, good: int) -> None:
    if tally.failures or not good:
        last = tally.last_failure.decode(errors="replace")
        raise PhaseFailed(f"{tally.failures} failures and {good} good answers; the last failure: {last!r}")


def _per(look: Look, number: int) -> float:
    """CPU microseconds each."""
    return look.cpu_s * 1e6 / number


def _percentile(seconds: Sequence[float], at: int) -> float:
    """Microseconds within which `at` % of them lie."""
    ranked = sorted(seconds)
    return ranked[min(len(ranked) - 1, len(ranked) * at // 100)] * 1e6

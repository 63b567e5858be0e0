"""All proxies are open at once and measured in short turns, for what the machine's neighbours do changes in seconds."""

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from time import perf_counter

from bench.bar import OURS, YARDSTICKS
from bench.peers import OFFERS, Absent, Peer
from bench.phases import ALONE, IN_TURNS, Figures, Phase, PhaseFailed, Subject
from bench.records import Effort, Record, Results, added
from bench.rig import Meter, Rig

DIRECT = "direct"
SETTLE_S = 0.3
ENGINE_WITHIN_S = 20.0
OFTEN = {DIRECT, OURS, *YARDSTICKS}
OTHERS_EVERY = 3
"""Those that the bar is about have every turn, others one of so many: more of them would not make it longer."""
SLOW_S = 2.0
SLOW_WAITS = 6
"""A proxy that takes longer than this for a phase has it again after so many turns."""

Say = Callable[[str], None]


async def measure(rig: Rig, names: Sequence[str], effort: Effort, say: Say) -> Results:
    """Measure the proxies of these names, and the engine itself."""
    results = _offered(names)
    gc.collect()
    gc.freeze()
    await _in_turns(rig, results, effort, say)
    await _alone(rig, results, effort, say)
    return results


def order(names: Sequence[str], turn: int) -> list[str]:
    """Who follows whom in a turn: Williams' design, in which each follows each other one equally often.

    After as many turns as there are names where these are even, after twice as many where they are odd.
    """
    size = len(names)
    zigzag = [(at + 1) // 2 if at % 2 else -(at // 2) for at in range(size)]
    turned = [names[(place + turn) % size] for place in zigzag]
    return turned[::-1] if turn // size % 2 else turned


def asked(names: Sequence[str], turn: int) -> list[str]:
    """Who has this turn, in which order."""
    if turn % OTHERS_EVERY == 0:
        return order(names, turn // OTHERS_EVERY)
    return order([name for name in names if name in OFTEN], turn)


async def take_turn(results: Results, phase: Phase, subjects: Mapping[str, Subject], turn: int) -> None:
    """One phase of a turn, for each whose turn it is and who has not failed it before."""
    seen: dict[str, Figures] = {}
    for name in asked(tuple(subjects), turn):
        record, subject = results.records[name], subjects[name]
        if phase.__name__ in record.missing or turn < record.waits.get(phase.__name__, 0):
            continue
        began = perf_counter()
        seen[name] = await _phase(record, phase, subject)
        if perf_counter() - began > SLOW_S:
            record.waits[phase.__name__] = turn + SLOW_WAITS
    _note(results, turn, seen)


async def _in_turns(rig: Rig, results: Results, effort: Effort, say: Say) -> None:
    """Whatever can be measured while the others are open and wait."""
    async with AsyncExitStack() as stack:
        subjects: dict[str, Subject] = {}
        for name, record in tuple(results.records.items()):
            say(f"opens {name}")
            try:
                subjects[name] = await stack.enter_async_context(opened(rig, record.peer, effort.look, effort.streams))
            except Absent as error:
                results.leave_out(name, str(error))
        await asyncio.sleep(SETTLE_S)
        for turn in range(effort.turns):
            say(f"turn {turn + 1} of {effort.turns}")
            for part in IN_TURNS:
                if turn % part.every == 0:
                    await take_turn(results, part.phase, subjects, turn)


async def _alone(rig: Rig, results: Results, effort: Effort, say: Say) -> None:
    """What asks for a new process each time, with nothing else open."""
    for number in range(effort.rounds):
        seen: dict[str, Figures] = {}
        for name in order(tuple(results.records), number):
            record = results.records[name]
            if ALONE.__name__ in record.missing:
                continue
            say(f"memory, round {number + 1} of {effort.rounds}: {name}")
            try:
                async with opened(rig, record.peer, effort.seconds, effort.streams) as subject:
                    await asyncio.sleep(SETTLE_S)
                    seen[name] = await _phase(record, ALONE, subject)
            except Absent as error:
                record.missing[ALONE.__name__] = str(error)
        _note(results, number, seen)


@asynccontextmanager
async def opened(rig: Rig, peer: Peer, seconds: float, streams: int) -> AsyncIterator[Subject]:
    """A proxy in front of an engine of its own.

    Raises:
        Absent: it cannot be started.
    """
    with rig.engine() as engine:
        await _listening(engine)
        async with peer.open(rig, engine) as running:
            meter = Meter(running.process) if running.process else None
            yield Subject(running.target, engine, meter, seconds, streams)


def _offered(names: Sequence[str]) -> Results:
    results = Results()
    for name in dict.fromkeys((DIRECT, *names)):
        try:
            results.records[name] = Record(OFFERS[name]())
        except Absent as error:
            results.absent[name] = str(error)
    return results


def _note(results: Results, turn: int, seen: Mapping[str, Figures]) -> None:
    for name, figures in seen.items():
        results.records[name].note(turn, figures | added(figures, seen.get(DIRECT, {})))


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

"""Which gateways live, by what each says of itself every second: its release, its library, what it has not settled."""

import time
from collections.abc import Callable, Sequence

from ias.contract import beats
from ias.contract.admission import LIBRARY_VERSION
from ias.contract.beats import DRAINS, FORGOTTEN_S, STOPPED, Beat
from ias.edge import Edge
from ias.vitals.findings import Figure, Finding, judged, listed, wrong

NAME = "gateways"


async def look(edge: Edge) -> list[Finding]:
    """What is known of gateways.

    Raises:
        EdgeDown: Redis does not answer.
    """
    return found(beats.read_beats(await edge.call(beats.BEATS)), time.time())


async def forget(edge: Edge) -> None:
    """Forget those that stopped, or fell silent long ago.

    Raises:
        EdgeDown: Redis does not answer.
    """
    now = time.time()
    said = beats.read_beats(await edge.call(beats.BEATS))
    gone = [beat.name for beat in said if beat.state == STOPPED or beat.silent_s(now) > FORGOTTEN_S]
    if gone:
        await edge.call(beats.forget(gone))


def found(said: Sequence[Beat], now: float) -> list[Finding]:
    """What to make of what they say."""
    live = [beat for beat in said if beat.lives(now)]
    silent = [beat for beat in said if not beat.lives(now) and beat.state != STOPPED]
    return [_live(live), _silent(silent, now), _release(live), _spooled(live)]


def _live(live: Sequence[Beat]) -> Finding:
    told = listed([f"{beat.name} ({_doing(beat)})" for beat in live]) or "no gateway says that it runs"
    figures = (Figure("ias_gateways_up", len(live)), *_each("ias_gateway_open", live, lambda beat: beat.open))
    remedy = "start `ias-gateway`; where one runs, see that it reaches this Redis: its `/ready` says so"
    return judged(bool(live), wrong(NAME, "running", told, remedy, *figures))


def _doing(beat: Beat) -> str:
    return f"{beat.release}, {'drains, ' if beat.state == DRAINS else ''}{beat.open} open"


def _silent(silent: Sequence[Beat], now: float) -> Finding:
    told = listed([f"{beat.name} for {beat.silent_s(now):.0f} s" for beat in silent])
    remedy = "see whether it was killed, hangs, or has lost its way to Redis; what it had open is settled by a worker"
    said = f"silent without a farewell: {told}" if silent else "none fell silent"
    return judged(not silent, wrong(NAME, "silent", said, remedy, Figure("ias_gateways_silent", len(silent))))


def _release(live: Sequence[Beat]) -> Finding:
    other = [
        f"{beat.name} ({beat.release}, library {beat.library})" for beat in live if beat.library != LIBRARY_VERSION
    ]
    said = f"call another Function library than ours: {listed(other)}" if other else f"library {LIBRARY_VERSION}"
    remedy = "bring gateways, workers and `ias migrate up` to the same release"
    return judged(not other, wrong(NAME, "release", said, remedy, Figure("ias_gateways_other_release", len(other))))


def _spooled(live: Sequence[Beat]) -> Finding:
    waiting = [beat for beat in live if beat.spooled]
    told = listed([f"{beat.spooled} at {beat.name}" for beat in waiting])
    said = f"settlements wait on disk: {told}" if waiting else "nothing waits on their disks"
    remedy = "see that Redis takes writes: gateways send them as soon as it does"
    figures = _each("ias_gateway_spool_left", live, lambda beat: beat.spooled)
    return judged(not waiting, wrong(NAME, "spool", said, remedy, *figures))


def _each(metric: str, live: Sequence[Beat], count: Callable[[Beat], int]) -> tuple[Figure, ...]:
    return tuple(Figure(metric, count(beat), beat.name) for beat in live)

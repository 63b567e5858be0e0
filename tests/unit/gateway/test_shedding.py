"""New requests are turned away while the loop is late, and where as many run as may."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from ias_gateway.shedding import BEAT_S, Shedding
from ias_gateway.telemetry import Counter
from tests.integration.gateway.place import eventually

LAG_S = 0.1


@pytest.fixture
async def counter() -> Counter:
    return Counter("shed", "", ("reason",))


@pytest.fixture
async def shedding(counter: Counter) -> Iterator[Shedding]:
    made = Shedding(most=3, lag_s=LAG_S, turned_away=counter)
    yield made
    made.close()


async def held_up(shedding: Shedding) -> bool:
    """Hold the loop up for longer than it may be late, again and again. Answers whether that had a consequence."""
    for _ in range(20):
        time.sleep(LAG_S + 2 * BEAT_S)  # noqa: ASYNC251 - that is the point
        await asyncio.sleep(0)
        if shedding.turns_away(0):
            return True
    return False


async def test_as_many_run_at_once_as_may(shedding: Shedding, counter: Counter) -> None:
    assert [shedding.turns_away(running) for running in (0, 2, 3, 4)] == [False, False, True, True]
    assert counter.values == {("requests",): 2, ("lag",): 0}


async def test_a_loop_that_stays_late_turns_everybody_away_until_it_is_in_time(
    shedding: Shedding, counter: Counter
) -> None:
    assert await held_up(shedding)
    assert counter.values == {("lag",): 1, ("requests",): 0}

    async def in_time() -> bool:
        return not shedding.turns_away(0)

    await eventually(in_time, within=60)


async def test_one_pause_is_no_overload(shedding: Shedding) -> None:
    shedding._beat()
    shedding._due -= 10
    shedding._beat()
    assert not shedding.turns_away(0)
    shedding._due -= 10
    shedding._beat()
    assert shedding.turns_away(0)
    shedding._beat()
    assert not shedding.turns_away(0)

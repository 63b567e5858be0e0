"""Stages go on whatever fails, and end when told to."""

import asyncio

from ias.stages import Stages, every


async def test_a_turn_that_fails_is_tried_again() -> None:
    stages, turns = Stages(), []

    async def turn() -> float:
        turns.append(len(turns))
        if len(turns) < 3:
            raise ConnectionError("away")
        stages.stopping.set()
        await asyncio.sleep(0)
        return 0.0

    await stages.keep("test", turn)

    assert turns == [0, 1, 2]


async def test_one_stage_that_fails_does_not_end_another() -> None:
    stages, done = Stages(), asyncio.Event()

    async def broken() -> float:
        raise RuntimeError("a fault")

    async def sound() -> float:
        done.set()
        return 0.01

    async with asyncio.TaskGroup() as group:
        group.create_task(stages.keep("broken", broken))
        group.create_task(stages.keep("sound", sound))
        await done.wait()
        stages.stopping.set()


async def test_a_long_rest_ends_with_the_word_to_stop() -> None:
    stages, turned = Stages(), asyncio.Event()

    async def job() -> None:
        turned.set()

    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(stages.keep("clock", every(3600.0, job)))
        await turned.wait()
        stages.stopping.set()


async def test_what_is_waited_for_is_tried_until_it_is_there() -> None:
    stages, tries = Stages(), []

    async def attempt() -> None:
        tries.append(len(tries))
        if len(tries) == 1:
            raise OSError("not yet")

    async with asyncio.timeout(10):
        await stages.wait_for("it", attempt)

    assert tries == [0, 1]


async def test_waiting_ends_with_the_word_to_stop() -> None:
    stages = Stages()

    async def attempt() -> None:
        stages.stopping.set()
        raise OSError("never")

    async with asyncio.timeout(10):
        await stages.wait_for("it", attempt)

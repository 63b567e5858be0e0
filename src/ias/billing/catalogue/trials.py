"""Trying a model: a gateway does it, since only gateways reach engines. Nothing changes, so nothing is audited."""

import asyncio
import time
from uuid import UUID

from ias.billing.catalogue.diagnosis import ModelTest, diagnosed
from ias.billing.catalogue.queries import registered
from ias.contract import beats, trials
from ias.contract.trials import ASKED_S, Told, Trial
from ias.db import transaction, uuid7
from ias.edge import Edge
from ias.identity import Principal
from ias.problems import Unavailable

AGAIN_S = 0.1
ROOM_WITHIN_S = 2.0
"""How long a trial waits for the one before it."""


class NobodyToTry(Unavailable):
    """No gateway tells that it lives, so that nobody can try a model."""

    title = "No gateway"


class TrialsAreBusy(Unavailable):
    """Another model is being tried; one is at a time."""

    title = "Another trial is under way"
    retry_after_s = 5


class TrialUnanswered(Unavailable):
    """The gateway that was to try did not tell what came of it."""

    title = "Trial was not answered"


async def test(principal: Principal, model_id: UUID, edge: Edge) -> ModelTest:
    """Have a gateway try every replica of a model; also of one that is disabled.

    Raises:
        NotFound: there is none.
        NobodyToTry: no gateway runs.
        TrialsAreBusy: too many are asked for at once.
        TrialUnanswered: no gateway told what came of it in time.
        EdgeDown: Redis does not answer.
    """
    async with transaction(principal) as connection:
        model = await registered(connection, model_id)
    lively = beats.read_beats(await edge.call(beats.BEATS))
    if not any(beat.lives(time.time()) for beat in lively):
        raise NobodyToTry("no gateway runs that could try it; start `ias-gateway`, and see `ias doctor`")
    return diagnosed(model, await _told(edge, Trial(str(uuid7()), model.route())))


async def _told(edge: Edge, trial: Trial) -> Told:
    until = time.monotonic() + ROOM_WITHIN_S
    while not await edge.call(trials.ask(trial)):
        if time.monotonic() > until:
            raise TrialsAreBusy("another model is being tried; try again in a moment")
        await asyncio.sleep(AGAIN_S)
    try:
        return await _answer(edge, trial)
    finally:
        await edge.call(trials.withdraw())


async def _answer(edge: Edge, trial: Trial) -> Told:
    until = time.monotonic() + ASKED_S - 1
    while time.monotonic() < until:
        told = trials.read_told(await edge.call(trials.listen(trial.id)))
        if told is not None:
            return told
        await asyncio.sleep(AGAIN_S)
    raise TrialUnanswered("no gateway told in time what came of it; try again, and see `ias doctor`")

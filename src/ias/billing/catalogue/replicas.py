"""Replicas as gateways last saw them: one of the gateways reads the counters of every engine every ten seconds."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

import msgspec
from msgspec import UNSET

from ias.billing.catalogue.queries import registered
from ias.contract import readings
from ias.contract.readings import EVERY_S, Reading
from ias.db import transaction
from ias.edge import Edge
from ias.identity import Principal
from ias.telemetry import now

SILENT_S: Final = 4.0 * EVERY_S
"""A replica that was read last longer ago does not answer, or nobody reads."""


class Seen(StrEnum):
    """Whether a replica answered when it was last to be read."""

    ANSWERS = "answers"
    SILENT = "silent"
    NEVER_READ = "never-read"


class ReplicaSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A replica as a gateway saw it; its counters are those of its process, which begin anew with it.

    Attributes:
        read_at: when it last answered; null where it never did.
        started_at: when its process began; null where it does not tell.
        requests: that ended, aborted ones too.
    """

    url: str
    seen: Seen
    read_at: datetime | None
    started_at: datetime | None
    requests: int
    prompt_tokens: int
    generation_tokens: int


class ReplicasSeen(msgspec.Struct, frozen=True):
    """The replicas of a model, in the model's order."""

    items: list[ReplicaSeen]


async def replicas(principal: Principal, model_id: UUID, edge: Edge) -> ReplicasSeen:
    """How gateways saw the replicas of a model.

    Raises:
        NotFound: there is none.
        EdgeDown: Redis does not answer.
    """
    async with transaction(principal) as connection:
        model = await registered(connection, model_id)
    found = {reading.url: reading for reading in readings.read_readings(await edge.call(readings.READINGS))}
    backends = () if model.backends is UNSET else model.backends
    moment = now().timestamp()
    return ReplicasSeen([_seen(backend.url, found.get(backend.url), moment) for backend in backends])


def _seen(url: str, reading: Reading | None, moment: float) -> ReplicaSeen:
    if reading is None:
        reading, seen = Reading(url, 0.0), Seen.NEVER_READ
    else:
        seen = Seen.ANSWERS if moment - reading.at < SILENT_S else Seen.SILENT
    return ReplicaSeen(
        url=url,
        seen=seen,
        read_at=_at(reading.at),
        started_at=_at(reading.started_at),
        requests=reading.requests,
        prompt_tokens=reading.prompt_tokens,
        generation_tokens=reading.generation_tokens,
    )


def _at(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None

"""Replicas as gateways last saw them: one of the gateways reads the counters of every engine every ten seconds."""

from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from msgspec import UNSET

from ias.billing.catalogue.queries import registered
from ias.billing.catalogue.told import ReplicaSeen, ReplicasSeen, Seen
from ias.contract import readings
from ias.contract.readings import EVERY_S, Reading
from ias.db import transaction
from ias.edge import Edge
from ias.identity import Principal
from ias.telemetry import now

SILENT_S: Final = 4.0 * EVERY_S
"""A replica that was read last longer ago does not answer, or nobody reads."""


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

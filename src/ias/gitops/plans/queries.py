"""What a policy would change now, and what it would have refused."""

import asyncio
from datetime import timedelta
from typing import Final
from uuid import UUID

from ias.billing import model_names, requests_since, terms_of, used_of_models
from ias.db import Connection, snapshot
from ias.gitops.documents.cage import load_all
from ias.gitops.documents.domain import Document
from ias.gitops.documents.reading import Loaded
from ias.gitops.plans.answers import Asked, AskedReplay, Proposal
from ias.gitops.plans.blocking import blocked
from ias.gitops.plans.checks import holds, refused
from ias.gitops.plans.domain import InForce, plan
from ias.gitops.plans.replay import Replay, Replayed, periods
from ias.identity import names, rosters, tenant
from ias.identity.values import Principal
from ias.problems import FieldError, NotFound, Problem
from ias.telemetry import now

AT_ONCE: Final = asyncio.Semaphore(2)
"""Files that one process has read at once."""
REPLAYS: Final = asyncio.Semaphore(2)
"""Replays in one process: each holds a connection for as long as it takes."""
REPLAY_S: Final = 30.0
MOST_REQUESTS: Final = 1_000_000
"""What one replay goes through, from the beginning of the month on in which it begins."""


class WhichOrganisation(Problem):
    """A system admin belongs to none and must say which."""

    title = "Organisation missing"


class BadPolicy(Problem):
    """The file is no policy; `errors` has every fault, with line and column."""

    title = "Bad policy"


class Busy(Problem):
    """A replay would take longer than anybody should wait."""

    status = 503
    title = "Too much at once"
    retry_after_s = 10


async def proposed(principal: Principal, asked: Asked) -> Proposal:
    """What a file would change of an organisation.

    Raises:
        NotFound: it is not the caller's organisation.
        WhichOrganisation: the caller belongs to none and did not say.
    """
    org_id = await _meant(principal, asked.org_id)
    loaded = await _read(org_id, asked.document)
    return await proposal(principal, org_id, loaded)


async def proposal(principal: Principal, org_id: UUID, loaded: Loaded) -> Proposal:
    """The same of a file that was read.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    async with snapshot(principal.within(org_id)) as connection:
        in_force = await _in_force(connection, org_id)
        models = set((await model_names(connection)).values())
        uses = await used_of_models(connection, org_id, f"{now():%Y%m}")
    document, faults = loaded.document, loaded.faults
    planned = None if document is None else plan(document, in_force)
    if document is not None:
        faults = refused(document, in_force, models, loaded.lines)
    return Proposal(
        org_id=org_id,
        organisation=in_force.roster.name,
        as_of=now(),
        faults=list(faults),
        changes=[] if planned is None else list(planned.changes),
        blocked=[] if document is None else list(blocked(document, in_force, uses)),
        held_for=[] if planned is None else list(holds(planned, in_force, follows=True)),
    )


async def replayed(principal: Principal, asked: AskedReplay) -> Replayed:
    """What a file would have refused of the requests of the last days, and whose.

    Raises:
        NotFound: it is not the caller's organisation.
        WhichOrganisation: the caller belongs to none and did not say.
        BadPolicy: the file is none.
        Busy: others replay as many as one process does at once, or this one would take too long.
    """
    if REPLAYS.locked():
        raise Busy("others replay their requests just now; try again in a few seconds")
    try:
        async with REPLAYS, asyncio.timeout(REPLAY_S):
            return await _replayed(principal, asked)
    except TimeoutError:
        raise Busy(f"this takes more than {REPLAY_S:.0f} s; ask for fewer days") from None


async def _replayed(principal: Principal, asked: AskedReplay) -> Replayed:
    org_id = await _meant(principal, asked.org_id)
    document = _document(await _read(org_id, asked.document))
    until = now()
    since = until - timedelta(days=asked.days)
    month = since.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    async with snapshot(principal.within(org_id)) as connection:
        replay = Replay(document, await _in_force(connection, org_id), since)
        count = 0
        async for request in requests_since(connection, org_id, month, periods(month, until)):
            count += 1
            if count > MOST_REQUESTS:
                raise Busy(f"there are more than {MOST_REQUESTS:,} requests to replay; ask for fewer days")
            replay.take(request)
    return replay.answer()


async def _in_force(connection: Connection, org_id: UUID) -> InForce:
    roster = (await rosters(connection, [org_id])).get(org_id)
    if roster is None:
        raise NotFound("no such organisation")
    return InForce(roster, (await terms_of(connection, [org_id]))[org_id])


async def _read(org_id: UUID, source: str) -> Loaded:
    name = (await names([org_id])).get(org_id, "")
    async with AT_ONCE:
        return (await load_all([(name, source.encode("utf-8", "replace"))]))[0]


def _document(loaded: Loaded) -> Document:
    if loaded.document is None:
        errors = tuple(FieldError("/document", fault.said("org.yaml")) for fault in loaded.faults)
        raise BadPolicy("; ".join(error.detail for error in errors), errors)
    return loaded.document


async def _meant(principal: Principal, org_id: UUID | None) -> UUID:
    """The organisation that is asked about."""
    if org_id is None and principal.org_id is None:
        said = "say which organisation: you belong to none"
        raise WhichOrganisation(f"org_id: {said}", (FieldError("/org_id", said),))
    meant = principal.within(org_id or principal.org_id or UUID(int=0)).org_id
    if meant is None or await tenant(meant) is None:
        raise NotFound("no such organisation")
    return meant

"""The reconciler's clock: looks at each repository that is due, and at every organisation bound to it.

Any number of workers may run: one at a time looks at a repository, and one at a time changes an organisation.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final
from uuid import UUID

import msgspec
from loguru import logger
from prometheus_client import Counter, Histogram

from ias.billing import project_routes, terms_of
from ias.db import EVERYWHERE, snapshot, sole, transaction
from ias.edge import Edge
from ias.gitops.documents.domain import Document
from ias.gitops.plans.checks import UNTOLD
from ias.gitops.plans.domain import InForce, plan
from ias.gitops.reconciler import books
from ias.gitops.reconciler.actions import Done, put_into_force
from ias.gitops.reconciler.domain import Bound, Offer
from ias.gitops.reconciler.offers import Offers, offers_of
from ias.gitops.repositories import registry
from ias.gitops.repositories.mirror import GitFailed, Mirror, sweep
from ias.identity import Tenant, paid, rosters
from ias.outages import Outage
from ias.problems import Problem
from ias.settings import settings

PASSES = Counter("ias_gitops_passes", "Looks at a repository, by how they ended.", ["outcome"])
CHANGED = Counter("ias_gitops_changes", "Organisations that were changed by Git, or put back.")
TOOK = Histogram("ias_gitops_pass_seconds", "How long a look at a repository and its organisations took.")

AT_ONCE: Final = 4
"""Repositories that a worker looks at at once, and organisations of one that it changes at once."""
TOGETHER: Final = 100
"""Organisations that are compared with what one statement reads."""

SWEPT_EVERY_S: Final = 3600.0
"""How often repositories are forgotten that nobody is bound to, and the mirrors of those."""


class Work(msgspec.Struct, frozen=True):
    """An organisation that there is something to do for."""

    bound: Bound
    tenant: Tenant
    offer: Offer | None


class Reconciler:
    """A worker's looks at repositories. One that takes long keeps the others waiting no longer than it must."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._under_way: dict[UUID, asyncio.Task[None]] = {}
        self._sweep_at = 0.0

    async def turn(self) -> None:
        """Begin to look at the repositories that are due, and see how those looks ended that were begun before."""
        ended = [repository_id for repository_id, look in self._under_way.items() if look.done()]
        looks = [self._under_way.pop(repository_id) for repository_id in ended]
        for repository_id in await registry.due():
            if len(self._under_way) < AT_ONCE and repository_id not in self._under_way:
                self._under_way[repository_id] = asyncio.create_task(self._look(repository_id))
        for look in looks:
            look.result()
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + SWEPT_EVERY_S
            await registry.forget_all_unbound()
            await sweep(settings().gitops_dir, registry.kept)

    async def all_done(self) -> None:
        """Wait for the looks that were begun."""
        while self._under_way:
            await asyncio.wait(self._under_way.values())
            await self.turn()

    async def _look(self, repository_id: UUID) -> None:
        async with sole(f"ias.gitops.{repository_id}") as got:
            if got:
                await look_at(repository_id, self._edge)


async def look_at(repository_id: UUID, edge: Edge) -> None:
    """Look at one repository: what is new is put into force, and what was changed beside it is put back.

    Where the repository cannot be had, what was last in force is still kept up.
    """
    with TOOK.time():
        found = await _fetched(repository_id)
        try:
            await _each(repository_id, found, edge)
        except GitFailed as error:
            await _failed(repository_id, error)
            await _each(repository_id, None, edge)
        else:
            if found is not None:
                await _note(repository_id, found)


async def _fetched(repository_id: UUID) -> Offers | None:
    """What the repository has; None where it cannot be had, or not yet again."""
    try:
        mirror: Mirror | None = await registry.mirror_of(repository_id)
        if mirror is None:
            return None
        commit = await mirror.fetch()
        return Offers(mirror, commit, await mirror.policies(commit.sha))
    except (GitFailed, Problem, ValueError, OSError) as error:
        await _failed(repository_id, error)
        return None


async def _failed(repository_id: UUID, error: Exception) -> None:
    logger.warning("repository {} could not be fetched: {}", repository_id, error)
    await registry.failed(repository_id, str(error) or type(error).__name__)
    PASSES.labels("failed").inc()


async def _note(repository_id: UUID, found: Offers) -> None:
    """Note how it ended. A history that cannot be had is asked for ever less often."""
    if found.untold:
        await registry.failed(repository_id, UNTOLD)
    else:
        await registry.fetched(repository_id, found.commit.sha)
    PASSES.labels("fetched").inc()


async def _each(repository_id: UUID, found: Offers | None, edge: Edge) -> None:
    async with transaction(EVERYWHERE) as connection:
        bound = [each for each in await books.bound_to(connection, repository_id) if not each.suspended]
    changed: list[Done] = []
    for at in range(0, len(bound), TOGETHER):
        work = [each async for each in _to_do(bound[at : at + TOGETHER], found)]
        changed += await _done(work, edge)
    CHANGED.inc(len(changed))
    others = [done for done in changed if done.routes_too]
    if others:
        await project_routes([done.tenant for done in others], edge)
        for debt in (done.debt for done in others if done.debt is not None):
            await paid(debt)


async def _to_do(bound: Sequence[Bound], found: Offers | None) -> AsyncIterator[Work]:
    """The organisations that have something new, or are not as their policy has them."""
    ids = [each.org_id for each in bound]
    async with snapshot(EVERYWHERE) as connection:
        here, terms = await rosters(connection, ids), await terms_of(connection, ids)
    await _forget([each.org_id for each in bound if each.org_id not in here])
    offers = {} if found is None else await offers_of(found, bound, here)
    as_it_is = []
    for each in bound:
        roster, offer = here.get(each.org_id), offers.get(each.org_id)
        if roster is None:
            continue
        if offer is not None or _differs(each.applied, InForce(roster, terms[each.org_id])) or _is_mended(each):
            yield Work(each, Tenant(each.org_id, roster.tag), offer)
        elif found is not None and (each.applied_commit, each.state) != (found.commit.sha, "in-force"):
            as_it_is.append(each)
    if found is not None and as_it_is:
        followed = await found.followed(as_it_is)
        passed = [each for each in as_it_is if followed.get(each.applied_commit)]
        async with transaction(EVERYWHERE) as connection:
            await books.passed(connection, passed, found.commit.sha)


async def _forget(org_ids: Sequence[UUID]) -> None:
    """Organisations that were removed are bound no more, and what opens a repository that none is bound to is gone."""
    if org_ids:
        async with transaction(EVERYWHERE) as connection:
            await registry.forget_unbound(connection, await books.unbind(connection, org_ids))


def _differs(applied: Document | None, in_force: InForce) -> bool:
    return applied is not None and bool(plan(applied, in_force).steps)


def _is_mended(bound: Bound) -> bool:
    """Whether something was wrong with keeping the policy in force up, which may be well by now."""
    return bound.state in {"invalid", "held"} and bound.blob_seen == bound.applied_blob != ""


async def _done(work: Sequence[Work], edge: Edge) -> list[Done]:
    waiting = asyncio.Semaphore(AT_ONCE)

    async def one(each: Work) -> Done | None:
        async with waiting:
            try:
                return await put_into_force(each.tenant, each.bound, each.offer, edge)
            except Outage:
                raise
            except Exception:  # noqa: BLE001 - one organisation's trouble is not the others'
                logger.exception("the policy of organisation {} was not put into force", each.tenant.id)
                return None

    done = await asyncio.gather(*map(one, work))
    return [each for each in done if each is not None and each.steps]

"""What a commit has for each organisation bound to it: read only where it is not in force already."""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

import msgspec
from loguru import logger

from ias.gitops.documents.cage import load_all
from ias.gitops.documents.faults import whole
from ias.gitops.documents.reading import Loaded, missing
from ias.gitops.reconciler.domain import Bound, Offer
from ias.gitops.repositories.domain import Entry, path_of
from ias.gitops.repositories.mirror import Commit, GitFailed, Mirror
from ias.identity.values import Roster


class Offers(msgspec.Struct, frozen=True):
    """A commit that was fetched, with its policy files by the names of their folders."""

    mirror: Mirror
    commit: Commit
    entries: Mapping[str, Entry]
    history: dict[str, bool | None] = {}

    async def followed(self, bound: Iterable[Bound]) -> Mapping[str, bool | None]:
        """Whether the commits in force are in this one's history; None where that cannot be told."""
        for commit in {each.applied_commit for each in bound if each.applied_commit}:
            if commit not in self.history:
                self.history[commit] = await self._follows(commit)
        return self.history

    @property
    def untold(self) -> bool:
        """Whether there was a commit in force of which nothing could be told."""
        return None in self.history.values()

    async def _follows(self, commit: str) -> bool | None:
        if self.untold:
            return None
        try:
            return await self.mirror.follows(commit, self.commit.sha)
        except GitFailed as error:
            logger.warning("the history of repository {} cannot be checked: {}", self.mirror.id, error)
            return None


async def offers_of(found: Offers, bound: Sequence[Bound], here: Mapping[UUID, Roster]) -> dict[UUID, Offer]:
    """What is new for these organisations, or still not in force; nothing of those whose file is in force."""
    new = {each.org_id: found.entries.get(here[each.org_id].name) for each in bound if each.org_id in here}
    news = [each for each in bound if each.org_id in new and _is_new(each, new[each.org_id])]
    readable = [(each, entry) for each in news if (entry := new[each.org_id]) is not None and not entry.wrong]
    contents = await found.mirror.contents(list(dict.fromkeys(entry.blob for _, entry in readable)))
    read = await load_all([(here[each.org_id].name, contents[entry.blob]) for each, entry in readable])
    offers = {
        each.org_id: _read(found.commit, entry, loaded) for (each, entry), loaded in zip(readable, read, strict=True)
    }
    for each in news:
        offers.setdefault(each.org_id, _unread(found.commit, here[each.org_id].name, new[each.org_id]))
    return await _in_their_order(found, {each.org_id: each for each in news}, offers)


def _is_new(bound: Bound, entry: Entry | None) -> bool:
    return entry is None or bool(entry.wrong) or entry.blob != bound.applied_blob


async def _in_their_order(
    found: Offers, bound: Mapping[UUID, Bound], offers: Mapping[UUID, Offer]
) -> dict[UUID, Offer]:
    """The offers, with whether each follows what is in force."""
    followed = await found.followed(bound.values())
    before = {org_id: bound[org_id].applied_commit for org_id in offers}
    return {
        org_id: msgspec.structs.replace(offer, follows=followed[before[org_id]] if before[org_id] else True)
        for org_id, offer in offers.items()
    }


def _read(commit: Commit, entry: Entry, loaded: Loaded) -> Offer:
    return Offer(
        commit=commit.sha,
        blob=entry.blob,
        author=commit.author,
        subject=commit.subject,
        document=loaded.document,
        lines=loaded.lines,
        faults=loaded.faults,
    )


def _unread(commit: Commit, name: str, entry: Entry | None) -> Offer:
    """Of a file that is not there, or is none."""
    fault = missing(path_of(name)) if entry is None else whole(entry.wrong)
    return Offer(
        commit=commit.sha,
        blob="" if entry is None else entry.blob,
        author=commit.author,
        subject=commit.subject,
        document=None,
        lines={},
        faults=(fault,),
        missing=entry is None,
    )

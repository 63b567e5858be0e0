"""One organisation in a pass of the reconciler: what is bound, what was read, and who acts."""

from datetime import datetime
from uuid import UUID

import msgspec

from ias.gitops.documents.domain import Document
from ias.gitops.documents.faults import Fault
from ias.identity.values import Origin, Principal, Source

NOBODYS_SESSION = UUID(int=0)
_ACTOR = 200


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """A binding as the reconciler sees it."""

    org_id: UUID
    repository_id: UUID
    repository: str
    branch: str
    enabled_by: UUID
    enabled_at: datetime
    state: str
    commit_seen: str
    blob_seen: str
    faults: list[Fault]
    held_for: list[str]
    approved_commit: str
    applied_commit: str
    applied_blob: str
    applied: Document | None
    suspended: bool

    def is_still(self, before: "Bound") -> bool:
        """Whether nobody has bound the organisation anew, nor put another commit into force, since then."""
        now, then = (
            (each.repository_id, each.enabled_at, each.applied_commit, each.applied_blob) for each in (self, before)
        )
        return now == then


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What a commit has for an organisation.

    Attributes:
        document: None where it has nothing that can be put into force.
        follows: whether the commit in force is in this one's history; None where nobody knows.
    """

    commit: str
    blob: str
    author: str
    subject: str
    document: Document | None
    lines: dict[str, int]
    faults: tuple[Fault, ...] = ()
    missing: bool = False
    follows: bool | None = True


def acting(bound: Bound, tag: str, commit: str, author: str) -> Principal:
    """Who acts: Git, for one organisation alone, below the platform's ceiling, with no permission besides."""
    return Principal(
        user_id=bound.enabled_by,
        email=f"git {commit[:12]}: {author}"[:_ACTOR],
        org_id=bound.org_id,
        org_tag=tag,
        permissions=frozenset(),
        session_id=NOBODYS_SESSION,
        origin=Origin(Source.GIT, commit),
    )

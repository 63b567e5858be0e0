"""The JSON door of bindings, and the door that Git hosts knock at."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, Request, get, post
from litestar.datastructures import State as AppState
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody

from ias.gitops.bindings import actions, queries
from ias.gitops.bindings.domain import (
    Approval,
    BadSuspension,
    Drift,
    NewBinding,
    NothingHeld,
    NotSigned,
    Run,
    Status,
    Suspension,
)
from ias.gitops.documents.reading import Loaded
from ias.gitops.plans.answers import Proposal
from ias.gitops.plans.queries import proposal
from ias.gitops.repositories.credentials import BadCredential
from ias.gitops.repositories.domain import BadRepository
from ias.identity import PUBLIC, Permission, requires
from ias.identity.values import Principal
from ias.paging import DEFAULT_LIMIT, Limit, Page
from ias.problems import raising

Signature = Annotated[
    str, HeaderParameter(name="X-Hub-Signature-256", description="sha256=, and the HMAC of the body in hexadecimal.")
]


class Taken(msgspec.Struct, frozen=True):
    """How many repositories are looked at now."""

    repositories: int


class BindingApi(Controller):
    """Organisations that are managed by Git."""

    path = "/organizations/{org_id:uuid}/gitops"
    tags = ("gitops",)

    @post(
        "/enable",
        status_code=200,
        guards=[requires(Permission.GITOPS_WRITE)],
        opt=raising(BadCredential, BadRepository),
    )
    async def enable(
        self, principal: NamedDependency[Principal], org_id: FromPath[UUID], data: JSONBody[NewBinding]
    ) -> Status:
        """Bind an organisation to a repository: its file `orgs/<name>/org.yaml` is the policy from now on."""
        return await actions.enable(principal, org_id, data)

    @post("/disable", status_code=204, guards=[requires(Permission.GITOPS_WRITE)])
    async def disable(self, principal: NamedDependency[Principal], org_id: FromPath[UUID]) -> None:
        """Leave the organisation to the API; everything stays as it is."""
        await actions.disable(principal, org_id)

    @post("/sync", status_code=200, guards=[requires(Permission.GITOPS_SYNC)])
    async def sync(self, principal: NamedDependency[Principal], org_id: FromPath[UUID]) -> Status:
        """Have a worker look at the repository now."""
        return await actions.sync(principal, org_id)

    @post("/suspend", status_code=200, guards=[requires(Permission.GITOPS_WRITE)], opt=raising(BadSuspension))
    async def suspend(
        self, principal: NamedDependency[Principal], org_id: FromPath[UUID], data: JSONBody[Suspension]
    ) -> Status:
        """Leave Git aside for a while, in an emergency; it ends by itself."""
        return await actions.suspend(principal, org_id, data)

    @post("/resume", status_code=200, guards=[requires(Permission.GITOPS_WRITE)])
    async def resume(self, principal: NamedDependency[Principal], org_id: FromPath[UUID]) -> Status:
        """Go by Git again."""
        return await actions.resume(principal, org_id)

    @post("/approve", status_code=200, guards=[requires(Permission.GITOPS_WRITE)], opt=raising(NothingHeld))
    async def approve(
        self, principal: NamedDependency[Principal], org_id: FromPath[UUID], data: JSONBody[Approval]
    ) -> Status:
        """Let a commit through that is held."""
        return await actions.approve(principal, org_id, data)

    @get("/status", guards=[requires(Permission.GITOPS_READ)])
    async def status(self, principal: NamedDependency[Principal], org_id: FromPath[UUID]) -> Status:
        """What is in force, what is wrong, what waits; and the links of those who are to join."""
        return await queries.status(principal, org_id)

    @get("/diff", guards=[requires(Permission.GITOPS_READ)])
    async def diff(self, principal: NamedDependency[Principal], org_id: FromPath[UUID]) -> Proposal:
        """What the newest readable policy of the repository would change now."""
        document, lines = await queries.offered(principal, org_id)
        return await proposal(principal, org_id, Loaded(document, (), lines))

    @get("/drift", guards=[requires(Permission.GITOPS_READ)])
    async def drift(
        self,
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        cursor: FromQuery[str | None] = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Page[Drift]:
        """What was changed beside Git, by whom and when, and put back; newest first."""
        return await queries.drift(principal, org_id, cursor, limit)

    @get("/runs", guards=[requires(Permission.GITOPS_READ)])
    async def runs(
        self,
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        cursor: FromQuery[str | None] = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Page[Run]:
        """What Git changed, commit by commit; newest first."""
        return await queries.runs(principal, org_id, cursor, limit)


class WebhookApi(Controller):
    """Where Git hosts say that something was pushed."""

    path = "/gitops/webhook"
    tags = ("gitops",)

    @post(status_code=202, opt={PUBLIC: True} | raising(NotSigned))
    async def take(self, request: Request[object, object, AppState], x_hub_signature_256: Signature = "") -> Taken:
        """Have the repository of a push looked at now. The body is GitHub's, GitLab's or Gitea's, signed with HMAC."""
        return Taken(await actions.hooked(await request.body(), x_hub_signature_256))

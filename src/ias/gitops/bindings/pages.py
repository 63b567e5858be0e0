"""The HTML door of bindings: how an organisation's policy in Git stands, and what may be done about it."""

from datetime import datetime
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from ias.console.forms import Form
from ias.console.visit import Visit
from ias.gitops.bindings import actions, queries
from ias.gitops.bindings.domain import Approval, NewBinding, NotManaged, Suspension
from ias.gitops.bindings.starting import WEBHOOK, first_file
from ias.gitops.documents.reading import Loaded
from ias.gitops.plans.queries import proposal
from ias.gitops.repositories.domain import path_of
from ias.identity import Permission, requires
from ias.identity.values import Principal
from ias.paging import DEFAULT_LIMIT
from ias.problems import BadRequest, FieldError, Problem
from ias.settings import settings

_STATUS = "gitops/bindings/status.html"
_NONE = "gitops/bindings/none.html"
_BIND = "gitops/bindings/bind.html"
_UNBIND = "gitops/bindings/unbind.html"
_APPROVE = "gitops/bindings/approve.html"
_DRIFT = "gitops/bindings/drift.html"
_HISTORY = "gitops/bindings/history.html"
_PLAN = "gitops/plans/plan.html"
_FEW = 5
"""Of each list, on the first page."""


class BindingPages(Controller):
    """An organisation that is, or may be, managed by Git."""

    path = "/orgs/{org_id:uuid}/gitops"
    include_in_schema = False
    guards = (requires(Permission.GITOPS_READ),)

    @get(guards=[requires(Permission.GITOPS_READ)])
    async def standing(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """How it stands; how to begin, where nothing is bound."""
        return await _standing(visit, principal, org_id)

    @get("/drift", guards=[requires(Permission.GITOPS_READ)])
    async def drift(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        cursor: FromQuery[str | None] = None,
    ) -> Response[bytes]:
        """What was changed beside Git, and put back; newest first."""
        page = await queries.drift(principal, org_id, cursor, DEFAULT_LIMIT)
        return visit.show(_DRIFT, {"drift": page.items, "older": page.next_cursor, "cursor": cursor})

    @get("/history", guards=[requires(Permission.GITOPS_READ)])
    async def history(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        cursor: FromQuery[str | None] = None,
    ) -> Response[bytes]:
        """What Git changed, commit by commit; newest first."""
        page = await queries.runs(principal, org_id, cursor, DEFAULT_LIMIT)
        return visit.show(_HISTORY, {"runs": page.items, "older": page.next_cursor, "cursor": cursor})

    @get("/diff", guards=[requires(Permission.GITOPS_READ)])
    async def diff(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """What the newest readable policy of the repository would change now."""
        document, lines = await queries.offered(principal, org_id)
        plan = await proposal(principal, org_id, Loaded(document, (), lines))
        return visit.show(_PLAN, {"plan": plan, "of_repository": True, "file": path_of(plan.organisation)})

    @post("/sync", status_code=200, guards=[requires(Permission.GITOPS_SYNC)])
    async def sync(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """Have a worker look at the repository now."""
        await actions.sync(principal, org_id)
        return visit.go(
            f"/orgs/{org_id}/gitops", "A worker looks at the repository now; this page shows what it finds."
        )

    @get("/bind", guards=[requires(Permission.GITOPS_WRITE)])
    async def form(self, visit: NamedDependency[Visit]) -> Response[bytes]:
        """The form to bind it to a repository."""
        return visit.show(_BIND, _beginning(visit))

    @post("/bind", status_code=200, guards=[requires(Permission.GITOPS_WRITE)])
    async def bind(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """Bind it to a repository."""
        secrets = {name: visit.form.secret(name) for name in ("token", "ssh_key", "known_hosts")}
        try:
            await actions.enable(principal, org_id, visit.form.made(NewBinding, **secrets))
        except Problem as problem:
            return visit.refused(problem).show(_BIND, _beginning(visit))
        return visit.go(f"/orgs/{org_id}/gitops", "The organisation is bound; a worker looks at the repository now.")

    @get("/unbind", guards=[requires(Permission.GITOPS_WRITE)])
    async def asked(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """Whether to leave it to the pages, the API and the CLI."""
        return visit.show(_UNBIND, {"status": await queries.status(principal, org_id)})

    @post("/unbind", status_code=200, guards=[requires(Permission.GITOPS_WRITE)])
    async def unbind(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """Leave it to the pages, the API and the CLI; everything stays as it is."""
        await actions.disable(principal, org_id)
        return visit.go(f"/orgs/{org_id}/gitops", "Git manages it no more; everything stays as it is.")

    @post("/suspend", status_code=200, guards=[requires(Permission.GITOPS_WRITE)])
    async def suspend(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """Leave Git aside for a while."""
        try:
            asked = visit.form.made(Suspension, until=_until(visit.form))
            await actions.suspend(principal, org_id, asked)
        except Problem as problem:
            return await _standing(visit.refused(problem), principal, org_id)
        return visit.go(f"/orgs/{org_id}/gitops", "Git is left aside; what is changed here stays until then.")

    @post("/resume", status_code=200, guards=[requires(Permission.GITOPS_WRITE)])
    async def resume(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """Go by Git again."""
        await actions.resume(principal, org_id)
        return visit.go(f"/orgs/{org_id}/gitops", "Git manages it again; what was changed meanwhile is put back.")

    @get("/approve", guards=[requires(Permission.GITOPS_WRITE)])
    async def looked_at(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """What is held, and whether to let it through."""
        return visit.show(_APPROVE, {"status": await queries.status(principal, org_id)})

    @post("/approve", status_code=200, guards=[requires(Permission.GITOPS_WRITE)])
    async def approve(
        self, visit: NamedDependency[Visit], principal: NamedDependency[Principal], org_id: FromPath[UUID]
    ) -> Response[bytes]:
        """Let a commit through that is held."""
        await actions.approve(principal, org_id, visit.form.made(Approval))
        return visit.go(f"/orgs/{org_id}/gitops", "The commit is approved; a worker puts it into force now.")


def _until(form: Form) -> datetime:
    """When Git is gone by again.

    Raises:
        BadRequest: the form does not say.
    """
    until = form.moment("until")
    if until is None:
        said = "write a date and a time (UTC), 30 days from now at most"
        raise BadRequest(f"until: {said}", (FieldError("/until", said),))
    return until


async def _standing(visit: Visit, principal: Principal, org_id: UUID) -> Response[bytes]:
    try:
        status = await queries.status(principal, org_id)
    except NotManaged:
        return visit.show(_NONE, _beginning(visit))
    values = {
        "status": status,
        "drift": await queries.drift(principal, org_id, None, _FEW),
        "runs": await queries.runs(principal, org_id, None, _FEW),
        "webhook": settings().api_url + WEBHOOK,
    }
    return visit.show(_STATUS, values)


def _beginning(visit: Visit) -> dict[str, object]:
    """What one puts into a repository to begin with."""
    name = "" if visit.org is None else visit.org.name
    return {"path": path_of(name), "example": first_file(name), "webhook": settings().api_url + WEBHOOK}

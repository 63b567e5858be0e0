"""The HTML door of the catalogue: models for whoever keeps them, and for those who call them."""

from uuid import UUID

import msgspec
from litestar import Controller, Response, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, FromQuery
from msgspec import UNSET

from ias.billing.catalogue import actions, queries, rates, trials
from ias.billing.catalogue.callers import ModelUse, callers
from ias.billing.catalogue.domain import Backend, Model, ModelChanges, NewModel
from ias.billing.catalogue.prices import NewRate
from ias.billing.catalogue.replicas import replicas
from ias.conditions import etag
from ias.console.forms import Form
from ias.console.visit import Visit
from ias.edge import Edge
from ias.identity import Permission, Principal, requires
from ias.paging import DEFAULT_LIMIT
from ias.problems import FieldError, Problem

_MODELS = "billing/catalogue/models.html"
_MODEL = "billing/catalogue/model.html"
_NEW = "billing/catalogue/new.html"
_EDIT = "billing/catalogue/edit.html"
_TESTED = "billing/catalogue/tested.html"
_STOP = "billing/catalogue/stop.html"
_CALLABLE = "billing/catalogue/callable.html"


class Place(msgspec.Struct, frozen=True):
    """What every page of a model works with."""

    visit: Visit
    principal: Principal
    edge: Edge
    use: ModelUse


async def provide_place(
    visit: NamedDependency[Visit],
    principal: NamedDependency[Principal],
    edge: NamedDependency[Edge],
    model_use: NamedDependency[ModelUse],
) -> Place:
    """The dependency `place`."""
    return Place(visit, principal, edge, model_use)


class CallablePages(Controller):
    """The models that an organisation may call, to look at."""

    path = "/orgs/{org_id:uuid}/models"
    include_in_schema = False

    @get(guards=[requires(Permission.MODELS_READ)])
    async def listed(
        self,
        visit: NamedDependency[Visit],
        principal: NamedDependency[Principal],
        cursor: FromQuery[str | None] = None,
    ) -> Response[bytes]:
        """The list, newest first, as members see it whoever looks."""
        member = msgspec.structs.replace(principal, permissions=frozenset({Permission.MODELS_READ}))
        page = await queries.listed(member, cursor, DEFAULT_LIMIT)
        return visit.show(_CALLABLE, {"models": page.items, "older": page.next_cursor, "cursor": cursor})


class ModelPages(Controller):
    """All models, for those who may change them."""

    path = "/models"
    include_in_schema = False
    guards = (requires(Permission.MODELS_READ), requires(Permission.MODELS_WRITE))
    dependencies = {"place": Provide(provide_place)}  # noqa: RUF012 - Litestar reads it as it is

    @get()
    async def listed(self, place: NamedDependency[Place], cursor: FromQuery[str | None] = None) -> Response[bytes]:
        """The list, newest first."""
        page = await queries.listed(place.principal, cursor, DEFAULT_LIMIT)
        return place.visit.show(_MODELS, {"models": page.items, "older": page.next_cursor, "cursor": cursor})

    @get("/new")
    async def new(self, visit: NamedDependency[Visit]) -> Response[bytes]:
        """The form for a new one."""
        return visit.show(_NEW)

    @post(status_code=200)
    async def register(self, place: NamedDependency[Place]) -> Response[bytes]:
        """Register a model."""
        form = place.visit.form
        try:
            asked = form.made(NewModel, backends=_backends(form))
            model = await actions.register(place.principal, asked, place.edge)
        except Problem as problem:
            return place.visit.refused(_by_line(problem)).show(_NEW)
        return place.visit.go(f"/models/{model.id}", f"{model.name} is registered. Test it before others call it.")

    @get("/{model_id:uuid}")
    async def one(
        self, place: NamedDependency[Place], model_id: FromPath[UUID], cursor: FromQuery[str | None] = None
    ) -> Response[bytes]:
        """One model: its engines, what it costs, who may call it."""
        return await _one(place, model_id, place.visit, cursor)

    @get("/{model_id:uuid}/edit")
    async def edit(self, place: NamedDependency[Place], model_id: FromPath[UUID]) -> Response[bytes]:
        """The form to change it."""
        return _edit(place.visit, await queries.one(place.principal, model_id))

    @post("/{model_id:uuid}/edit", status_code=200)
    async def change(self, place: NamedDependency[Place], model_id: FromPath[UUID]) -> Response[bytes]:
        """Change how it is served."""
        try:
            asked = place.visit.form.made(ModelChanges, backends=_backends(place.visit.form))
            await actions.change(place.principal, model_id, asked, place.edge)
        except Problem as problem:
            return _edit(place.visit.refused(_by_line(problem)), await queries.one(place.principal, model_id))
        return place.visit.go(f"/models/{model_id}", "The model is changed; gateways go by it now.")

    @post("/{model_id:uuid}/replicas", status_code=200)
    async def add_replica(self, place: NamedDependency[Place], model_id: FromPath[UUID]) -> Response[bytes]:
        """Serve it from one engine more."""
        engines = [*_engines(await queries.one(place.principal, model_id)), Backend(place.visit.form.text("backends"))]
        try:
            await actions.change(place.principal, model_id, ModelChanges(backends=engines), place.edge)
        except Problem as problem:
            return await _one(place, model_id, place.visit.refused(problem))
        return place.visit.go(f"/models/{model_id}", "The replica is added. Test the model to see that it serves.")

    @post("/{model_id:uuid}/replicas/remove", status_code=200)
    async def remove_replica(self, place: NamedDependency[Place], model_id: FromPath[UUID]) -> Response[bytes]:
        """Serve it from one engine less."""
        url = place.visit.form.text("url")
        engines = [each for each in _engines(await queries.one(place.principal, model_id)) if each.url != url]
        try:
            await actions.change(place.principal, model_id, ModelChanges(backends=engines), place.edge)
        except Problem as problem:
            return await _one(place, model_id, place.visit.refused(problem))
        return place.visit.go(f"/models/{model_id}", f"No new request goes to {url}.")

    @post("/{model_id:uuid}/rates", status_code=200)
    async def announce(self, place: NamedDependency[Place], model_id: FromPath[UUID]) -> Response[bytes]:
        """Add a rate that begins now, or at a moment to come."""
        form = place.visit.form
        try:
            asked = form.made(NewRate, valid_from=form.moment("valid_from"))
            await rates.announce(place.principal, model_id, asked)
        except Problem as problem:
            return await _one(place, model_id, place.visit.refused(problem))
        return place.visit.go(
            f"/models/{model_id}", "The rate is announced." if asked.valid_from else "The rate holds."
        )

    @post("/{model_id:uuid}/rates/{rate_id:uuid}/withdraw", status_code=200)
    async def withdraw(
        self, place: NamedDependency[Place], model_id: FromPath[UUID], rate_id: FromPath[UUID]
    ) -> Response[bytes]:
        """Take back a rate that has not begun."""
        await rates.withdraw(place.principal, model_id, rate_id)
        return place.visit.go(f"/models/{model_id}", "The rate is withdrawn.")

    @post("/{model_id:uuid}/test", status_code=200)
    async def test(self, place: NamedDependency[Place], model_id: FromPath[UUID]) -> Response[bytes]:
        """Have a gateway try every replica, and show what came of it."""
        tried = await trials.test(place.principal, model_id, place.edge)
        return place.visit.show(_TESTED, {"tried": tried})

    @post("/{model_id:uuid}/enable", status_code=200)
    async def enable(self, place: NamedDependency[Place], model_id: FromPath[UUID]) -> Response[bytes]:
        """Let it be called."""
        model = await actions.change(place.principal, model_id, ModelChanges(enabled=True), place.edge)
        return place.visit.go(f"/models/{model_id}", f"{model.name} may be called again.")

    @get(["/{model_id:uuid}/disable", "/{model_id:uuid}/remove"])
    async def asked(self, place: NamedDependency[Place], model_id: FromPath[UUID]) -> Response[bytes]:
        """Whether to stop it, and whom that stops."""
        values = {
            "model": await queries.one(place.principal, model_id),
            "callers": await callers(place.principal, model_id, place.use),
            "for_good": place.visit.path.endswith("/remove"),
        }
        return place.visit.show(_STOP, values)

    @post("/{model_id:uuid}/disable", status_code=200)
    async def disable(self, place: NamedDependency[Place], model_id: FromPath[UUID]) -> Response[bytes]:
        """Let nobody call it."""
        model = await actions.change(place.principal, model_id, ModelChanges(enabled=False), place.edge)
        return place.visit.go(f"/models/{model_id}", f"{model.name} is disabled; requests to it are turned away.")

    @post("/{model_id:uuid}/remove", status_code=200)
    async def remove(self, place: NamedDependency[Place], model_id: FromPath[UUID]) -> Response[bytes]:
        """Remove it; its ledger lines stay."""
        await actions.remove(place.principal, model_id, place.edge)
        return place.visit.go("/models", "The model is removed; its ledger lines stay.")


def _backends(form: Form) -> list[dict[str, str]]:
    return [{"url": line.strip()} for line in form.text("backends").splitlines() if line.strip()]


def _by_line(problem: Problem) -> Problem:
    """The same, where engines stand one a line: each fault says in which."""
    errors = []
    for error in problem.errors:
        field, _, number = error.place.removesuffix("/url").partition("/")
        in_line = field == "backends" and number.isdecimal()
        said = FieldError("/backends", f"line {int(number) + 1} {error.detail}") if in_line else error
        errors.append(said)
    problem.errors = tuple(errors)
    return problem


def _engines(model: Model) -> list[Backend]:
    return [] if model.backends is UNSET else list(model.backends)


def _edit(visit: Visit, model: Model) -> Response[bytes]:
    return visit.show(_EDIT, {"model": model, "etag": etag(model)})


async def _one(place: Place, model_id: UUID, visit: Visit, cursor: str | None = None) -> Response[bytes]:
    model = await queries.one(place.principal, model_id)
    values = {
        "model": model,
        "etag": etag(model),
        "replicas": (await replicas(place.principal, model_id, place.edge)).items,
        "rates": await rates.history(place.principal, model_id, cursor, DEFAULT_LIMIT),
        "callers": await callers(place.principal, model_id, place.use),
    }
    return visit.show(_MODEL, values)

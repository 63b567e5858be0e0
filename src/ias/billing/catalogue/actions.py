"""Registering, changing and removing models, and who may call which. Gateways know of it when these return."""

from uuid import UUID

import msgspec
from asyncpg.exceptions import UniqueViolationError
from piccolo.columns import Column

from ias.billing.catalogue.domain import (
    USUAL_OUTPUT,
    AccessInForce,
    Backend,
    Model,
    ModelAccess,
    ModelChanges,
    NewModel,
    check,
)
from ias.billing.catalogue.prices import Rates
from ias.billing.catalogue.queries import allowed, ceiling, named, registered
from ias.billing.catalogue.rates import add
from ias.billing.catalogue.routes import owe_routes, pay_routes, project_routes
from ias.billing.policies.domain import AboveCeiling, moved_models
from ias.billing.policies.queries import hold
from ias.billing.tables import AllowedModels, ModelBackends, Models
from ias.db import transaction, uuid7
from ias.edge import Edge
from ias.identity import Principal, managed_by, owe, paid, record, tenant
from ias.problems import Conflict, NotFound, Problem
from ias.settings import settings
from ias.telemetry import now


class ModelNameTaken(Conflict):
    """There is a model of this name."""

    title = "Name is taken"


class UnknownModels(Problem):
    """Names that no model has."""

    title = "Unknown models"


async def register(principal: Principal, new: NewModel, edge: Edge) -> Model:
    """Register a model; whoever may call every model can call it from this answer on.

    Raises:
        BadModel: names every field that is wrong.
        ModelNameTaken: there is one of this name.
        EdgeDown: it is registered, but Redis does not know all of it yet; the worker keeps trying.
    """
    model = check(_registered(new), allowed=settings().upstream_allow)
    async with transaction(principal) as connection:
        try:
            await Models.from_dict({"id": model.id, "created_at": model.created_at, **_columns(model)}).save()
        except UniqueViolationError:
            raise ModelNameTaken(f"there is a model called {model.name!r} already") from None
        await _put_backends(model)
        await add(connection, model.id, _rates(model))
        await record(principal, "model.registered", model.id, after=_audited(model))
        debt = await owe_routes()
    await pay_routes(edge, debt)
    return model


async def change(principal: Principal, model_id: UUID, changes: ModelChanges, edge: Edge) -> Model:
    """Change a model; the answer comes once gateways go by it.

    Raises:
        NotFound: there is none.
        BadModel: names every field that is wrong.
        EdgeDown: the change holds, but Redis does not know all of it yet; the worker keeps trying.
    """
    async with transaction(principal) as connection:
        await _lock(model_id)
        before = await registered(connection, model_id)
        principal.expects(before)
        model = check(_changed(before, changes), allowed=settings().upstream_allow)
        await Models.update(dict(_columns(model).items())).where(Models.id == model_id)
        if model.backends != before.backends:
            await ModelBackends.delete().where(ModelBackends.model_id == model_id)
            await _put_backends(model)
        if _rates(model) != _rates(before):
            await add(connection, model_id, _rates(model))
        was, is_now = _audited(before), _audited(model)
        fields = [name for name in is_now if was[name] != is_now[name]]
        await record(principal, "model.changed", model_id, {f: was[f] for f in fields}, {f: is_now[f] for f in fields})
        debt = await owe_routes()
    await pay_routes(edge, debt)
    return model


async def remove(principal: Principal, model_id: UUID, edge: Edge) -> None:
    """Remove a model; its ledger lines stay, and its name is free again.

    Raises:
        NotFound: there is none.
        EdgeDown: the change holds, but Redis does not know all of it yet; the worker keeps trying.
    """
    async with transaction(principal) as connection:
        await _lock(model_id)
        before = await registered(connection, model_id)
        principal.expects(before)
        await Models.update({Models.removed_at: now(), Models.enabled: False}).where(Models.id == model_id)
        await record(principal, "model.removed", model_id, before=_audited(before))
        debt = await owe_routes()
    await pay_routes(edge, debt)


async def allow(principal: Principal, org_id: UUID, access: ModelAccess, edge: Edge) -> AccessInForce:
    """Say which models an organisation may call; null is every model.

    What the platform itself adds it gives, and what it strikes it takes; the organisation chooses of what is given.

    Raises:
        NotFound: it is not the caller's organisation.
        UnknownModels: names that no model has.
        AboveCeiling: the platform did not give all of them, and the caller acts for the organisation only.
        EdgeDown: the change holds, but Redis does not know of it yet; the worker keeps trying.
    """
    by = principal.within(org_id)
    org = await tenant(org_id, removed_too=False)
    if org is None:
        raise NotFound("no such organisation")
    async with transaction(by) as connection:
        await hold(connection, org_id)
        await write_access(by, org_id, access)
        managed, debt = await managed_by(connection, org_id), await owe(org_id)
    await project_routes([org], edge)
    await paid(debt)
    return AccessInForce(models=access.models, managed_by=managed)


async def write_access(by: Principal, org_id: UUID, access: ModelAccess) -> None:
    """Say which models an organisation may call inside a transaction that holds its policy; raises as `allow`."""
    ids = None if access.models is None else await _ids(access.models)
    before = await allowed(org_id)
    by.expects(await named(before))
    given = await _ceiling(by, org_id, before, ids)
    row = AllowedModels(org_id=org_id, model_ids=ids, ceiling_ids=given, updated_at=now())
    await AllowedModels.insert(row).on_conflict(
        target=AllowedModels.org_id,
        action="DO UPDATE",
        values=[*_written(by), AllowedModels.model_ids, AllowedModels.updated_at],
    )
    await record(by, "allowed_models.changed", org_id, {"model_ids": before}, {"model_ids": ids})


def _written(by: Principal) -> list[Column]:
    """Only the platform writes a ceiling that is there already."""
    return [AllowedModels.ceiling_ids] if by.everywhere else []


async def _ceiling(by: Principal, org_id: UUID, before: list[UUID] | None, ids: list[UUID] | None) -> list[UUID] | None:
    """The ceiling from now on: the platform moves it by what it changes, and an organisation itself chooses from it."""
    given = await ceiling(org_id)
    if by.everywhere:
        rows = await Models.select(Models.id).where(Models.removed_at.is_null())
        return moved_models(given, before, ids, [row["id"] for row in rows])
    if given is None or (ids is not None and set(ids) <= set(given)):
        return given
    raise AboveCeiling("the platform did not give your organisation all of these; ask a system admin")


async def _ids(names: list[str]) -> list[UUID]:
    if not names:
        return []
    rows = await Models.select(Models.id, Models.name).where(Models.name.is_in(names) & Models.removed_at.is_null())
    known = {row["name"]: row["id"] for row in rows}
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise UnknownModels(f"no model is called {', '.join(map(repr, unknown))}; GET /api/v1/models lists them")
    return list(known.values())


async def _lock(model_id: UUID) -> None:
    """Changes of one model come one after the other; rates and lines may refer to it meanwhile."""
    await Models.select(Models.id).where(Models.id == model_id).lock_rows("NO KEY UPDATE")


async def _put_backends(model: Model) -> None:
    backends = () if model.backends is msgspec.UNSET else model.backends
    moment = now()
    rows = [ModelBackends(model_id=model.id, url=backend.url, created_at=moment) for backend in backends]
    await ModelBackends.insert(*rows)


def _registered(new: NewModel) -> Model:
    moment = now()
    return Model(
        id=uuid7(),
        name=new.name,
        upstream_name=new.upstream_name or new.name,
        enabled=new.enabled,
        context_length=new.context_length,
        max_output_tokens=new.max_output_tokens or max(1, min(USUAL_OUTPUT, new.context_length // 2)),
        tenant_salt=new.tenant_salt,
        image_tokens=new.image_tokens,
        prompt_overhead=new.prompt_overhead,
        input_rate=new.input_rate,
        output_rate=new.output_rate,
        cached_input_rate=new.input_rate if new.cached_input_rate is None else new.cached_input_rate,
        created_at=moment,
        updated_at=moment,
        backends=tuple(new.backends),
    )


def _changed(model: Model, changes: ModelChanges) -> Model:
    asked = {field: value for field, value in msgspec.structs.asdict(changes).items() if value is not msgspec.UNSET}
    if isinstance(changes.backends, list):
        asked["backends"] = tuple(changes.backends)
    return msgspec.structs.replace(model, **asked, updated_at=now())


def _columns(model: Model) -> dict[str, object]:
    return {
        "name": model.name,
        "upstream_name": model.upstream_name,
        "enabled": model.enabled,
        "context_length": model.context_length,
        "max_output_tokens": model.max_output_tokens,
        "tenant_salt": model.tenant_salt,
        "image_tokens": model.image_tokens,
        "prompt_overhead": model.prompt_overhead,
        "updated_at": model.updated_at,
    }


def _rates(model: Model) -> Rates:
    return Rates(model.input_rate, model.output_rate, model.cached_input_rate)


def _audited(model: Model) -> dict[str, object]:
    fields = msgspec.structs.asdict(model)
    backends: tuple[Backend, ...] = fields["backends"]
    return {**fields, "backends": [backend.url for backend in backends]}

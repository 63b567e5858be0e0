"""Reading the catalogue."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import cast
from uuid import UUID

import msgspec

from ias.billing.catalogue.domain import AccessInForce, Model, ModelAccess
from ias.billing.catalogue.prices import written
from ias.billing.tables import AllowedModels, Models
from ias.db import Connection, Within, transaction
from ias.identity import Permission, Principal, managed_by, tenant
from ias.paging import Page, decode_cursor, page
from ias.problems import NotFound

_MODELS = """
SELECT m.id, m.name, m.upstream_name, m.enabled, m.context_length, m.max_output_tokens, m.tenant_salt,
       m.image_tokens, m.prompt_overhead, m.created_at, m.updated_at,
       r.input AS input_rate, r.output AS output_rate, r.cached_input AS cached_input_rate,
       ARRAY(SELECT b.url FROM billing.model_backends b WHERE b.model_id = m.id ORDER BY b.id) AS urls
FROM billing.models m
CROSS JOIN LATERAL (
    SELECT * FROM billing.rates WHERE model_id = m.id
    ORDER BY valid_from <= clock_timestamp() DESC, abs(extract(epoch FROM valid_from - clock_timestamp())) LIMIT 1
) r
WHERE m.removed_at IS NULL
"""
_REPLICAS = """
SELECT m.name, array_agg(b.url ORDER BY b.id) AS urls
FROM billing.models m JOIN billing.model_backends b ON b.model_id = m.id WHERE m.removed_at IS NULL GROUP BY m.name
"""
_CEILING = "SELECT ceiling_ids FROM billing.allowed_models WHERE org_id = $1"
_ALLOWED = "SELECT org_id, model_ids FROM billing.allowed_models WHERE org_id = ANY($1)"
_PAGE = (
    f"{_MODELS} AND ($1::uuid IS NULL OR m.id < $1) AND ($3::uuid[] IS NULL OR m.id = ANY($3)) AND (m.enabled OR $4)"
)
_PAGE += " ORDER BY m.id DESC LIMIT $2"


async def listed(principal: Principal, cursor: str | None, limit: int) -> Page[Model]:
    """Models that the caller may call, newest first; for those who may change them, all."""
    after, all_of_them = decode_cursor(cursor), principal.may(Permission.MODELS_WRITE)
    async with transaction(principal) as connection:
        mine = None if all_of_them else await _allowed(principal)
        rows = await connection.fetch(_PAGE, after, limit + 1, mine, all_of_them)
    return page([_shown(_model(row), principal) for row in rows], limit, lambda model: model.id)


async def one(principal: Principal, model_id: UUID) -> Model:
    """One model.

    Raises:
        NotFound: there is none, or it is not for the caller's organisation.
    """
    async with transaction(principal) as connection:
        model = await registered(connection, model_id)
        if not principal.may(Permission.MODELS_WRITE):
            mine = await _allowed(principal)
            if not model.enabled or not (mine is None or model_id in mine):
                raise NotFound("no such model")
    return _shown(model, principal)


async def registered(connection: Connection, model_id: UUID) -> Model:
    """One model, whoever asks, inside the caller's transaction.

    Raises:
        NotFound: there is none.
    """
    row = await connection.fetchrow(f"{_MODELS} AND m.id = $1", model_id)
    if row is None:
        raise NotFound("no such model")
    return _model(row)


async def enabled(connection: Connection) -> list[Model]:
    """Every model that can be called now, inside the caller's transaction."""
    return [_model(row) for row in await connection.fetch(f"{_MODELS} AND m.enabled ORDER BY m.id")]


async def replicas_of_models(connection: Connection) -> dict[str, list[str]]:
    """The replicas of each model, by its name, disabled ones too; inside the caller's transaction."""
    return {row["name"]: row["urls"] for row in await connection.fetch(_REPLICAS)}


async def allowed(org_id: UUID) -> list[UUID] | None:
    """The models that an organisation may call, inside the caller's transaction; None is every model."""
    row = await AllowedModels.select(AllowedModels.model_ids).where(AllowedModels.org_id == org_id).first()
    return None if row is None else row["model_ids"]


async def ceiling(org_id: UUID) -> list[UUID] | None:
    """The models that the platform gave an organisation, of which it may choose itself; None is every model."""
    row = await AllowedModels.select(AllowedModels.ceiling_ids).where(AllowedModels.org_id == org_id).first()
    return None if row is None else row["ceiling_ids"]


async def allowed_to_each(connection: Connection, orgs: Sequence[UUID]) -> dict[UUID, list[UUID] | None]:
    """The same for each of these organisations that was told; the others may call every model."""
    rows = await connection.fetch(_ALLOWED, orgs)
    return {row["org_id"]: row["model_ids"] for row in rows}


async def access(principal: Principal, org_id: UUID) -> AccessInForce:
    """The names of the models that an organisation may call.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    scope = principal.within(org_id)
    if await tenant(org_id) is None:
        raise NotFound("no such organisation")
    async with transaction(scope) as connection:
        models = (await named(await allowed(org_id))).models
        return AccessInForce(models=models, managed_by=await managed_by(connection, org_id))


async def names(org_id: UUID) -> list[str]:
    """The names of the models that an organisation may call, switched off or not, in order."""
    async with transaction(Within(org_id)):
        ids = await allowed(org_id)
        rows = await Models.select(Models.id, Models.name).where(Models.removed_at.is_null()).order_by(Models.name)
    return [row["name"] for row in rows if ids is None or row["id"] in ids]


async def offered(principal: Principal, org_id: UUID) -> list[str]:
    """The names of the models that the caller may let an organisation call, in order.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    async with transaction(principal.within(org_id)) as connection:
        most = None if principal.everywhere else await connection.fetchval(_CEILING, org_id)
        rows = await Models.select(Models.id, Models.name).where(Models.removed_at.is_null()).order_by(Models.name)
    return [row["name"] for row in rows if most is None or row["id"] in most]


async def given(principal: Principal, org_id: UUID) -> list[str] | None:
    """The names of the models that the platform gave an organisation, in order; None is every model.

    Raises:
        NotFound: it is not the caller's organisation.
    """
    async with transaction(principal.within(org_id)):
        return (await named(await ceiling(org_id))).models


async def named(ids: list[UUID] | None) -> ModelAccess:
    """Models by their names, inside the caller's transaction; null is every model."""
    if ids is None:
        return ModelAccess(models=None)
    rows = await Models.select(Models.name).where(Models.id.is_in(ids) & Models.removed_at.is_null()) if ids else []
    return ModelAccess(models=sorted(row["name"] for row in rows))


async def _allowed(principal: Principal) -> list[UUID] | None:
    return None if principal.org_id is None else await allowed(principal.org_id)


def _shown(model: Model, principal: Principal) -> Model:
    if principal.may(Permission.MODELS_WRITE):
        return model
    return msgspec.structs.replace(model, backends=msgspec.UNSET)


def _model(row: Mapping[str, object]) -> Model:
    fields = dict(row)
    urls = cast("list[str]", fields.pop("urls"))
    rates = {name: Decimal(written(value)) for name, value in fields.items() if isinstance(value, Decimal)}
    return msgspec.convert({**fields, **rates, "backends": [{"url": url} for url in urls]}, Model)

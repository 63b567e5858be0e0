"""The JSON door of the catalogue."""

from uuid import UUID

from litestar import Controller, delete, get, patch, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody

from ias.billing.catalogue import actions, queries, rates, trials
from ias.billing.catalogue.actions import ModelNameTaken, UnknownModels
from ias.billing.catalogue.callers import ModelUse, callers
from ias.billing.catalogue.diagnosis import ModelTest
from ias.billing.catalogue.domain import AccessInForce, Model, ModelChanges, NewModel
from ias.billing.catalogue.prices import BadModel, ModelRate, NewRate
from ias.billing.catalogue.rates import RateHasBegun, RateIsPast, RateOverlaps
from ias.billing.catalogue.replicas import replicas
from ias.billing.catalogue.told import Callers, ReplicasSeen
from ias.billing.catalogue.trials import NobodyToTry, TrialsAreBusy, TrialUnanswered
from ias.billing.policies.domain import AboveCeiling
from ias.conditions import Changed
from ias.edge import Edge
from ias.identity import Permission, Principal, requires
from ias.paging import DEFAULT_LIMIT, Limit, Page
from ias.problems import raising


class ModelApi(Controller):
    """Models: all, for those who may change them; else those that the caller's organisation may call."""

    path = "/models"
    tags = ("models",)

    @post(guards=[requires(Permission.MODELS_WRITE)], opt=raising(BadModel, ModelNameTaken))
    async def register(
        self, principal: NamedDependency[Principal], data: JSONBody[NewModel], edge: NamedDependency[Edge]
    ) -> Model:
        """Register a model."""
        return await actions.register(principal, data, edge)

    @get(guards=[requires(Permission.MODELS_READ)])
    async def listed(
        self, principal: NamedDependency[Principal], cursor: FromQuery[str | None] = None, limit: Limit = DEFAULT_LIMIT
    ) -> Page[Model]:
        """Models that the caller may see, newest first."""
        return await queries.listed(principal, cursor, limit)

    @get("/{model_id:uuid}", guards=[requires(Permission.MODELS_READ)])
    async def one(self, principal: NamedDependency[Principal], model_id: FromPath[UUID]) -> Model:
        """One model."""
        return await queries.one(principal, model_id)

    @patch("/{model_id:uuid}", guards=[requires(Permission.MODELS_WRITE)], opt=raising(BadModel, Changed))
    async def change(
        self,
        principal: NamedDependency[Principal],
        model_id: FromPath[UUID],
        data: JSONBody[ModelChanges],
        edge: NamedDependency[Edge],
    ) -> Model:
        """Change a model; new rates hold for requests that start from now on."""
        return await actions.change(principal, model_id, data, edge)

    @delete("/{model_id:uuid}", guards=[requires(Permission.MODELS_WRITE)], opt=raising(Changed))
    async def remove(
        self, principal: NamedDependency[Principal], model_id: FromPath[UUID], edge: NamedDependency[Edge]
    ) -> None:
        """Remove a model; its ledger lines stay."""
        await actions.remove(principal, model_id, edge)

    @post(
        "/{model_id:uuid}/test",
        guards=[requires(Permission.MODELS_WRITE)],
        status_code=200,
        opt=raising(NobodyToTry, TrialUnanswered, TrialsAreBusy),
    )
    async def test(
        self, principal: NamedDependency[Principal], model_id: FromPath[UUID], edge: NamedDependency[Edge]
    ) -> ModelTest:
        """Have a gateway send every replica the smallest request that there is; it is in no ledger."""
        return await trials.test(principal, model_id, edge)

    @get("/{model_id:uuid}/replicas", guards=[requires(Permission.MODELS_WRITE)])
    async def replicas(
        self, principal: NamedDependency[Principal], model_id: FromPath[UUID], edge: NamedDependency[Edge]
    ) -> ReplicasSeen:
        """The engines of a model as gateways last saw them, and what these have counted."""
        return await replicas(principal, model_id, edge)

    @get("/{model_id:uuid}/callers", guards=[requires(Permission.MODELS_WRITE)])
    async def callers(
        self,
        principal: NamedDependency[Principal],
        model_id: FromPath[UUID],
        model_use: NamedDependency[ModelUse],
    ) -> Callers:
        """Who may call a model, and who did since yesterday: what disabling it would stop."""
        return await callers(principal, model_id, model_use)


class RateApi(Controller):
    """What a model costs: by rates that follow one another, none of which is ever changed."""

    path = "/models/{model_id:uuid}/rates"
    tags = ("models",)

    @get(guards=[requires(Permission.MODELS_READ)])
    async def history(
        self,
        principal: NamedDependency[Principal],
        model_id: FromPath[UUID],
        cursor: FromQuery[str | None] = None,
        limit: Limit = DEFAULT_LIMIT,
    ) -> Page[ModelRate]:
        """All rates, past, valid and announced, the one that begins last first."""
        return await rates.history(principal, model_id, cursor, limit)

    @post(guards=[requires(Permission.MODELS_WRITE)], opt=raising(BadModel, RateIsPast, RateOverlaps))
    async def announce(
        self, principal: NamedDependency[Principal], model_id: FromPath[UUID], data: JSONBody[NewRate]
    ) -> ModelRate:
        """Add a rate that begins now, or at a moment to come."""
        return await rates.announce(principal, model_id, data)

    @delete("/{rate_id:uuid}", guards=[requires(Permission.MODELS_WRITE)], opt=raising(RateHasBegun))
    async def withdraw(
        self, principal: NamedDependency[Principal], model_id: FromPath[UUID], rate_id: FromPath[UUID]
    ) -> None:
        """Take back a rate that has not begun."""
        await rates.withdraw(principal, model_id, rate_id)


class ModelAccessApi(Controller):
    """Which models an organisation may call."""

    path = "/organizations/{org_id:uuid}/allowed-models"
    tags = ("organizations",)

    @get(guards=[requires(Permission.MODELS_READ)])
    async def read(self, principal: NamedDependency[Principal], org_id: FromPath[UUID]) -> AccessInForce:
        """The names of the models; null is every model."""
        return await queries.access(principal, org_id)

    @put(guards=[requires(Permission.BUDGETS_WRITE)], opt=raising(AboveCeiling, Changed, UnknownModels))
    async def allow(
        self,
        principal: NamedDependency[Principal],
        org_id: FromPath[UUID],
        data: JSONBody[AccessInForce],
        edge: NamedDependency[Edge],
    ) -> AccessInForce:
        """Say which models an organisation may call; null is every model."""
        return await actions.allow(principal, org_id, data.lasting(), edge)

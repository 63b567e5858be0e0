"""The face of billing: what gateways are told of it."""

from typing import TYPE_CHECKING

from ias.faces import opened

if TYPE_CHECKING:
    from ias.billing.projection import prepare_organisation, rebuild
else:
    __getattr__ = opened(__name__, __file__)

__all__ = ["prepare_organisation", "rebuild"]

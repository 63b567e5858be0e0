"""The face of billing: what gateways are told of it."""

from ias.billing.projection import prepare_organisation, rebuild

__all__ = ["prepare_organisation", "rebuild"]

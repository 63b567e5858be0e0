"""The values of analytics that others compute with: nothing here reads or writes anything."""

from ias.analytics.shares.domain import Part, Shares

__all__ = ["Part", "Shares"]

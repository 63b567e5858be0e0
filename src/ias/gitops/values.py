"""The values of gitops that others compute with: nothing here reads or writes anything."""

from ias.gitops.bindings.domain import State
from ias.gitops.bindings.domain import Status as Binding

__all__ = ["Binding", "State"]

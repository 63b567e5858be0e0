"""The face of gitops: what Git wants of organisations, and how that stands."""

from typing import TYPE_CHECKING

from ias.faces import opened

if TYPE_CHECKING:
    from ias.gitops.bindings.domain import NotManaged
    from ias.gitops.bindings.queries import status
else:
    __getattr__ = opened(__name__, __file__)

__all__ = ["NotManaged", "status"]

"""The face of analytics: who and what makes up usage, and which engines are not seen any more."""

from typing import TYPE_CHECKING

from ias.faces import opened

if TYPE_CHECKING:
    from ias.analytics.engines.silence import silent_replicas
    from ias.analytics.shares.domain import Owner
    from ias.analytics.shares.queries import this_month
    from ias.analytics.usage.domain import Filter
    from ias.analytics.usage.queries import ever_used
else:
    __getattr__ = opened(__name__, __file__)

__all__ = ["Filter", "Owner", "ever_used", "silent_replicas", "this_month"]

"""Rate limits as they are answered."""

import msgspec

from ias.billing.policies.domain import RateLimits
from ias.identity.values import ManagedBy


class LimitsInForce(RateLimits, frozen=True, kw_only=True):
    """How fast and how many at once; null is none.

    `managed_by` is the file in Git that puts back what is changed elsewhere, as far as it has lines for it; it may be
    sent back with the rest, and changes nothing.
    """

    managed_by: ManagedBy | None = None

    def lasting(self) -> RateLimits:
        """The limits themselves."""
        return RateLimits(**{name: getattr(self, name) for name in RateLimits.__struct_fields__})


def answered(limits: RateLimits, managed: ManagedBy | None) -> LimitsInForce:
    """The limits, with who manages them."""
    return LimitsInForce(**msgspec.structs.asdict(limits), managed_by=managed)

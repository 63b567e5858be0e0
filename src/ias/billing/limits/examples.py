"""What the API's document shows of rate limits."""

from ias.billing.limits.domain import answered
from ias.billing.policies.domain import RateLimits

_LIMITS = RateLimits(requests_per_second=200, burst=400, concurrency=100, user_concurrency=20)

EXAMPLES = (_LIMITS, answered(_LIMITS, None))

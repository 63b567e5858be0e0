"""What the API's document shows of rate limits."""

from ias.billing.policies.domain import RateLimits

EXAMPLES = (RateLimits(requests_per_second=200, burst=400, concurrency=100, user_concurrency=20),)

"""What the API's document shows of shares."""

from datetime import timedelta

import msgspec

from ias import acme
from ias.analytics.shares.domain import Part, Shares, Sort
from ias.analytics.usage.sketch import Percentiles, Performance
from ias.contract.usage import Outcome

_COUNTED: dict[str, object] = {
    "requests": 5_310,
    "failed": 2,
    "prompt_tokens": 6_400_000,
    "completion_tokens": 1_612_345,
    "cached_tokens": 4_000_000,
    "total_tokens": 8_012_345,
    "share": 1.0,
    "failed_share": 0.0004,
    "cached_share": 0.625,
    "previous_requests": 4_100,
    "previous_tokens": 6_000_000,
    "change_tokens": 2_012_345,
}
_PERFORMANCE = Performance(
    outcomes={Outcome.COMPLETED: 5_300, Outcome.CLIENT_ABORTED: 8, Outcome.UPSTREAM_FAILED: 2},
    first_token_ms=Percentiles(p50=181.2, p90=402.5, p95=543.4, p99=1207.0, count=5_200),
    duration_ms=Percentiles(p50=4187.0, p90=9302.0, p95=11360.0, p99=22870.0, count=5_310),
    queue_ms=Percentiles(p50=None, p90=None, p95=None, p99=None, count=0),
    tokens_per_second=Percentiles(p50=71.4, p90=87.2, p95=96.4, p99=106.5, count=5_200),
)

EXAMPLES = (
    Shares(
        start=acme.MONTH_BEGINS,
        end=acme.MONTH_ENDS,
        previous_start=acme.MONTH_BEGINS - timedelta(days=31),
        previous_end=acme.MONTH_BEGINS,
        timezone="UTC",
        sort=Sort.CHANGE,
        items=[msgspec.convert(_COUNTED | {"model": acme.MODELS_NAME, "performance": _PERFORMANCE}, Part)],
        rest=None,
        totals=msgspec.convert(_COUNTED | {"performance": _PERFORMANCE}, Part),
        data_as_of=acme.LATER,
    ),
)

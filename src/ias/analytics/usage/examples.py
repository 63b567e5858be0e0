"""What the API's document shows of usage."""

import msgspec

from ias import acme
from ias.analytics.usage.domain import Grouping, Totals, Usage, UsageItem

_SUMS: dict[str, object] = {
    "requests": 5_310,
    "failed": 2,
    "prompt_tokens": 6_400_000,
    "completion_tokens": 1_612_345,
    "cached_tokens": 4_000_000,
    "total_tokens": 8_012_345,
}

EXAMPLES = (
    Usage(
        start=acme.MONTH_BEGINS,
        end=acme.MONTH_ENDS,
        timezone="UTC",
        group_by=[Grouping.MODEL],
        items=[msgspec.convert(_SUMS | {"model": acme.MODELS_NAME}, UsageItem)],
        totals=msgspec.convert(_SUMS, Totals),
        data_as_of=acme.LATER,
    ),
)
TEXTS = {
    "text/csv": "model,requests,failed,prompt_tokens,completion_tokens,cached_tokens,total_tokens\r\n"
    "llama-3.3-70b,5310,2,6400000,1612345,4000000,8012345\r\n"
}

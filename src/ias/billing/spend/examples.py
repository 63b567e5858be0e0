"""What the API's document shows of spend."""

import msgspec

from ias import acme
from ias.billing.spend.domain import Spend, SpendBy, SpendItem, Totals

_SUMS: dict[str, object] = {
    "requests": 5_310,
    "prompt_tokens": 6_400_000,
    "completion_tokens": 1_612_345,
    "cached_tokens": 4_000_000,
    "total_tokens": 8_012_345,
    "cost": "5.909628",
}

EXAMPLES = (
    Spend(
        period=acme.MONTH,
        group_by=SpendBy.MODEL,
        items=[msgspec.convert(_SUMS | {"model": acme.MODELS_NAME}, SpendItem)],
        totals=msgspec.convert(_SUMS, Totals),
    ),
)

"""What the API's document shows of alerts."""

from ias import acme
from ias.billing.alerts.domain import Alert, Scope, Thresholds, ThresholdsInForce

EXAMPLES = (
    Alert(
        id=acme.ENTRY,
        scope=Scope.ORGANISATION,
        user_id=None,
        threshold=80,
        period=acme.MONTH,
        used_tokens=8_012_345,
        limit_tokens=10_000_000,
        refused=False,
        raised_at=acme.LATER,
        cleared_at=None,
        acknowledged_at=None,
        acknowledged_by=None,
    ),
    Thresholds(thresholds=[80, 90, 100]),
    ThresholdsInForce(thresholds=[80, 90, 100]),
)

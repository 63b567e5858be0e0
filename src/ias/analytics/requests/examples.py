"""What the API's document shows of requests."""

from datetime import timedelta

import msgspec

from ias import acme
from ias.analytics.requests.detail import RequestDetail
from ias.analytics.requests.domain import Request, RequestPage
from ias.billing import LedgerLine
from ias.contract.usage import Outcome

_REQUEST = Request(
    request_id=acme.REQUEST,
    org_id=acme.ORGANISATION,
    user_id=acme.GRACE,
    key_id=acme.KEY,
    model=acme.MODELS_NAME,
    endpoint="chat",
    streamed=True,
    outcome=Outcome.COMPLETED,
    status=200,
    prompt_tokens=1_200,
    completion_tokens=351,
    cached_tokens=1_000,
    total_tokens=1_551,
    estimated=False,
    lower_bound=False,
    queue_ms=1.5,
    first_token_ms=180.0,
    duration_ms=4_180.0,
    tokens_per_second=87.5,
    started_at=acme.LATER,
    settled_at=acme.LATER + timedelta(seconds=4),
)
_LINE: dict[str, object] = {
    **msgspec.structs.asdict(_REQUEST),
    "line": 1,
    "period": acme.MONTH,
    "model_id": acme.MODEL,
    "cost": "0.0011124",
    "rate": None,
    "created_at": acme.LATER + timedelta(seconds=5),
}

EXAMPLES = (
    RequestPage(items=[_REQUEST], next_cursor=None, data_as_of=acme.LATER + timedelta(seconds=5)),
    RequestDetail(**msgspec.structs.asdict(_REQUEST), ledger=[msgspec.convert(_LINE, LedgerLine)]),
)

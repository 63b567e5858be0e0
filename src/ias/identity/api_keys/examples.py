"""What the API's document shows of API keys."""

import msgspec

from ias import acme
from ias.identity.api_keys.domain import ApiKey, IssuedKey, KeyChanges, NewKey, Rotation

_KEY = ApiKey(
    id=acme.KEY,
    org_id=acme.ORGANISATION,
    user_id=acme.GRACE,
    label="laptop",
    prefix=f"ias_{acme.TAG}_5dKf",
    created_at=acme.LATER,
    expires_at=acme.EXPIRES,
    models=[acme.MODELS_NAME],
    monthly_tokens=1_000_000,
    last_used_at=acme.LATER,
    spent_tokens=20_480,
)

EXAMPLES = (
    NewKey(label="laptop", expires_at=acme.EXPIRES, models=[acme.MODELS_NAME], monthly_tokens=1_000_000),
    KeyChanges(monthly_tokens=2_000_000),
    _KEY,
    IssuedKey(
        **msgspec.structs.asdict(_KEY), token=f"ias_{acme.TAG}_5dKf0v9ZqLr3XcTnYw8bJm2sHg6PeAu4RiVoBkDxNtQ_2mWc7F"
    ),
    Rotation(grace_s=3600),
)

"""What the API's document shows of the audit log."""

import msgspec

from ias import acme
from ias.identity.audit.domain import Entry, Fault, Verification

_ENTRY = Entry(
    id=acme.ENTRY,
    org_id=acme.ORGANISATION,
    actor_id=acme.GRACE,
    actor=acme.GRACES_ADDRESS,
    action="key.issued",
    target_id=acme.KEY,
    before=None,
    after={"label": "laptop"},
    source="cli",
    request_id="0190a3a6-2f60-7d45-9e12-8c7b6a5d4e3f",
    created_at=acme.LATER,
    seq=42,
    hash="5f2b8e0c9a7d4631b2e8f5c0d9a6374e1b8c5d2f0e9a7b6c4d3e2f1a0b9c8d7e",
)

EXAMPLES = (
    _ENTRY,
    Verification(
        chains=1,
        entries=42,
        faults=[Fault(org_id=acme.ORGANISATION, seq=17, entry_id=None, detail="1 entry is missing after 16")],
    ),
)
TEXTS = {"application/x-ndjson": msgspec.json.encode(_ENTRY).decode() + "\n"}

"""What the relay sets aside: outbox entries that no event could be made of."""

import msgspec

from ias.billing.ledger.domain import BadEntry, event_of
from ias.contract.usage import UsageRecorded


class _Entry(msgspec.Struct):
    outbox: str
    entry: str
    fields: dict[str, str]


_ENTRY = msgspec.json.Decoder(_Entry)


def event_in(body: bytes) -> UsageRecorded:
    """The event that an outbox entry in quarantine tells of.

    Raises:
        BadEntry: there is still none in it; the message says why.
    """
    try:
        found = _ENTRY.decode(body)
        settled_ms = int(found.entry.partition("-")[0])
    except (ValueError, msgspec.MsgspecError) as error:
        raise BadEntry(f"not an entry of an outbox: {error}") from None
    return event_of({name.encode(): value.encode() for name, value in found.fields.items()}, settled_ms)

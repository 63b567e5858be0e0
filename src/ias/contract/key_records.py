"""The call of the Function library by which many keys of an organisation are told of at once."""

from collections.abc import Sequence

import msgspec

from ias.contract.admission import Command, slot

KeyRow = tuple[str, str, str, str, str]
"""Fingerprint, `active` or `revoked`, the key's id, its holder's, and when it expires in Unix seconds; empty: never."""

MOST = 100
"""Keys of one call: Redis is at it for half a millisecond or so, and admits nobody meanwhile."""

_encode = msgspec.msgpack.Encoder().encode


def grants(tag: str, version: int, keys: Sequence[KeyRow]) -> Command:
    """Let keys in, or turn revoked ones away, each unless something newer is known of it."""
    return ("FCALL", "ias_grants", 1, slot(tag), version, _encode([part for key in keys for part in key]))

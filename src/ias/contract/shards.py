"""Which shard of a Redis Cluster holds an organisation: slots by its tag, the cluster's map, and redirections.

A shard is asked for whole answers only. Its mark says for which slots every organisation has been projected there: a
slot that came to it without its data, or before a projection, is not among them, and an unknown organisation in it is
no proof of a bad key.
"""

from binascii import crc_hqx
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import count
from typing import cast

import msgspec

from ias.contract.redis_url import Address

SLOTS = 16384
Span = tuple[int, int]
"""First and last slot."""

_MAP_REPLY_PARTS = 3
_NodeReply = Sequence[bytes | int | None]


class Shard(msgspec.Struct, frozen=True):
    """A master and the slots that it has, in order."""

    address: Address
    spans: tuple[Span, ...]

    @property
    def name(self) -> str:
        """As people write it."""
        return name_of(self.address)

    @property
    def mark(self) -> str:
        """The key of this shard's mark, in one of its slots; seldom another one when slots come and go."""
        return f"ias:projection:{{{_hash_tag(_mark_slot(self.spans))}}}"

    def holds(self, tag: str) -> bool:
        """Whether it has the slot of the organisation with this tag."""
        slot = slot_of(tag)
        return any(first <= slot <= last for first, last in self.spans)


class Redirection(msgspec.Struct, frozen=True):
    """What a shard says of a slot that is another's (MOVED) or is going there (`asking`: ASK)."""

    slot: int
    address: Address
    asking: bool


def slot_of(tag: str) -> int:
    """The slot of an organisation's keys, which all have the hash tag `o:<tag>`: CRC-16/XMODEM modulo 16384."""
    return crc_hqx(b"o:" + tag.encode(), 0) % SLOTS


def slot_of_key(key: str) -> int:
    """The slot of any key: of its hash tag, where it has one that is not empty."""
    _, _, rest = key.partition("{")
    inside, closed, _ = rest.partition("}")
    return crc_hqx((inside if closed and inside else key).encode(), 0) % SLOTS


def name_of(address: Address) -> str:
    """Host and port as people write them."""
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_map(reply: Sequence[Sequence[object]], asked: str) -> list[Shard]:
    """The shards of a CLUSTER SLOTS reply. `asked` is the host that gave it; a node without a host is on the same."""
    spans: dict[Address, list[Span]] = {}
    for part in reply:
        if len(part) >= _MAP_REPLY_PARTS:
            first, last, master = cast("tuple[int, int, _NodeReply]", part[:_MAP_REPLY_PARTS])
            spans.setdefault(_address(master, asked), []).append((first, last))
    return [Shard(address, tuple(sorted(ranges))) for address, ranges in spans.items()]


def read_nodes(reply: Sequence[Sequence[object]], asked: str) -> list[Address]:
    """Every node of a CLUSTER SLOTS reply, replicas too."""
    nodes = [cast("_NodeReply", node) for part in reply for node in part[2:]]
    return list(dict.fromkeys(_address(node, asked) for node in nodes))


def read_redirection(error: str, asked: str) -> Redirection | None:
    """The redirection in an error like `MOVED 3999 10.0.0.1:6379` of the node on the host `asked`; else None."""
    word, _, rest = error.partition(" ")
    if word not in {"MOVED", "ASK"}:
        return None
    slot, _, place = rest.partition(" ")
    host, _, port = place.split(" ")[0].rpartition(":")
    return Redirection(int(slot), (host.strip("[]") or asked, int(port)), word == "ASK")


def mark_of(spans: Iterable[Span]) -> str:
    """What a mark says: `0-5460 10000-10002`."""
    return " ".join(f"{first}-{last}" for first, last in spans)


def unmarked(spans: Iterable[Span], mark: str) -> tuple[Span, ...]:
    """The slots of these that a mark does not name; an empty mark names none."""
    named = sorted((int(first), int(last)) for first, _, last in (part.partition("-") for part in mark.split()))
    left: list[Span] = []
    for first, last in spans:
        begin = first
        for known_first, known_last in named:
            if known_last < begin or known_first > last:
                continue
            if known_first > begin:
                left.append((begin, known_first - 1))
            begin = known_last + 1
        if begin <= last:
            left.append((begin, last))
    return tuple(left)


def marked(spans: Sequence[Span], mark: str) -> tuple[Span, ...]:
    """The slots of these that a mark does name."""
    return unmarked(spans, mark_of(unmarked(spans, mark)))


def _address(node: _NodeReply, asked: str) -> Address:
    host, port = node[0], node[1]
    text = host.decode() if isinstance(host, bytes) else str(host or "")
    return (asked if text in {"", "?"} else text), int(port or 0)


@lru_cache(maxsize=1024)
def _mark_slot(spans: tuple[Span, ...]) -> int:
    """The first of these slots in an order of all slots that mixes them well."""
    return min((slot for first, last in spans for slot in range(first, last + 1)), key=lambda slot: slot * 9973 % SLOTS)


@lru_cache(maxsize=1024)
def _hash_tag(slot: int) -> str:
    """The least number that, as a hash tag, has this slot."""
    return next(text for text in map(str, count()) if crc_hqx(text.encode(), 0) % SLOTS == slot)

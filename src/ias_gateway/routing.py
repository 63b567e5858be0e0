"""Which replica takes a request: the one that has seen its beginning, unless it is busier than the others or ailing.

Rendezvous hashing over organisation and beginning of the prompt (Thaler and Ravishankar, 1998) sends equal beginnings
to one replica, whose prefix cache then holds them; load is bounded as by Mirrokni, Thorup and Zadimoghaddam (2018).
"""

from collections.abc import Callable, Collection, Sequence
from math import ceil
from time import monotonic
from zlib import crc32

from ias.contract.catalogue import decode_route
from ias_gateway.addresses import STRICT, Addresses
from ias_gateway.served import Served, quoted
from ias_gateway.telemetry import Metrics
from ias_gateway.upstream import Pool

FAILURES_TO_EJECT = 5
EJECTION_S = 10.0
MAX_EJECTION_S = 300.0
LOAD_BOUND = 1.25
"""A replica takes at most this times the mean of what is under way."""
NEVER_BUSY = 8
"""With fewer than this under way no replica is too busy: an engine computes so many together, and a prompt once."""
FORGET_AFTER_S = 600.0
_REMEMBERED_ROUTES = 4096
_SCRAMBLE = 0x85EB_CA6B, 0xC2B2_AE35
"""The multipliers of MurmurHash3's last step: CRCs under different seeds differ by a constant alone."""
_MASK = 0xFFFF_FFFF
_NEVER = float("inf")


class Replica:
    """One engine: its connections, what is under way on it, and how it has fared.

    Attributes:
        quoted: its URL as JSON.
        outstanding: requests of this process that are under way on it.
        elsewhere: requests that other gateways had on it when it was last looked at.
        up: whether it said that it is healthy when it was last looked at.
        ejected_until: when its rest ends, on the monotonic clock.
        ejections: how often it was made to rest.
    """

    __slots__ = (
        *("_failures", "_groups", "_rests", "_seed", "ejected_until", "ejections", "elsewhere", "outstanding", "pool"),
        *("quoted", "up", "url"),
    )

    def __init__(self, url: str, addresses: Addresses = STRICT) -> None:
        self.url = url
        self.quoted = quoted(url)
        self.pool = Pool(url, addresses)
        self.outstanding = 0
        self.elsewhere = 0
        self.up = True
        self.ejected_until = 0.0
        self.ejections = 0
        self._failures = 0
        self._rests = 0
        self._groups: list[Group] = []
        self._seed = crc32(url.encode())

    @property
    def load(self) -> int:
        """What is under way on it, as far as is known."""
        return self.outstanding + self.elsewhere

    def liking(self, key: int) -> int:
        """How much this replica is the one for requests of this key; the greatest of all replicas' wins."""
        mixed = (key ^ self._seed) * _SCRAMBLE[0] & _MASK
        return (mixed ^ mixed >> 15) * _SCRAMBLE[1] & _MASK

    def join(self, group: "Group") -> None:
        """Tell this group when the replica may be used no longer, or again."""
        self._groups.append(group)

    def leave(self, group: "Group") -> bool:
        """Tell this group no longer. Answers whether nobody else needs the replica."""
        self._groups.remove(group)
        return not self._groups

    def succeeded(self) -> None:
        """It answered."""
        self._failures = self._rests = 0

    def failed(self) -> None:
        """It did not; after some in a row it rests for a while, longer each time."""
        now = monotonic()
        if now < self.ejected_until:
            return  # sent before it was made to rest, or for want of a better one
        self._failures += 1
        if self._failures >= FAILURES_TO_EJECT:
            self._failures = 0
            self._rests += 1
            self.ejections += 1
            self.ejected_until = now + min(EJECTION_S * self._rests, MAX_EJECTION_S)
            self._changed()

    def looked_at(self, *, up: bool, under_way: int) -> None:
        """What it said of itself: whether it is healthy, and how many requests of all gateways it has."""
        self.elsewhere = max(0, under_way - self.outstanding)
        if up != self.up:
            self.up = up
            self._changed()
            if not up:
                self.pool.close()

    def _changed(self) -> None:
        for group in self._groups:
            group.sort()


class Group:
    """The replicas of a route, and those of them that may be used now."""

    __slots__ = ("_sort_at", "_usable", "replicas", "used", "used_at")

    def __init__(self, replicas: tuple[Replica, ...]) -> None:
        self.replicas = replicas
        self.used = True
        self.used_at = monotonic()
        self._usable = replicas
        self._sort_at = _NEVER
        for replica in replicas:
            replica.join(self)
        self.sort()

    @property
    def usable(self) -> tuple[Replica, ...]:
        """Those that are healthy and do not rest; at most half of the healthy ones rest, and never the last."""
        if self._sort_at <= monotonic():
            self.sort()
        return self._usable

    def sort(self) -> None:
        """Find out who may be used; done when something has changed, not for each request."""
        now = monotonic()
        up = [replica for replica in self.replicas if replica.up] or list(self.replicas)
        # Those that rest come last, and of them those that have the longest to go.
        up.sort(key=lambda replica: max(replica.ejected_until, now))
        fit = sum(replica.ejected_until <= now for replica in up)
        self._usable = tuple(up[: max(fit, ceil(len(up) / 2))])
        self._sort_at = up[fit].ejected_until if fit < len(up) else _NEVER


Policy = Callable[[Sequence[Replica], bytes], Replica]
"""Chooses among two replicas or more for a request that begins so."""


def affine(replicas: Sequence[Replica], beginning: bytes) -> Replica:
    """The replica that likes this beginning most, of those that are not too busy."""
    total = 1
    for replica in replicas:
        total += replica.outstanding + replica.elsewhere
    bound = max(NEVER_BUSY, LOAD_BOUND * total / len(replicas))
    key = crc32(beginning)
    # One of them is always below the bound.
    chosen, most = replicas[0], -1
    for replica in replicas:
        if replica.outstanding + replica.elsewhere < bound and (liking := replica.liking(key)) > most:
            chosen, most = replica, liking
    return chosen


class Routing:
    """The replicas of all routes that this process has seen.

    Args:
        policy: how one of several replicas is chosen.
        addresses: where replicas may be.
    """

    def __init__(self, policy: Policy = affine, addresses: Addresses = STRICT) -> None:
        self._policy = policy
        self.addresses = addresses
        self._routes: dict[str, tuple[bytes, Served]] = {}
        self._groups: dict[tuple[str, ...], Group] = {}
        self._replicas: dict[str, Replica] = {}

    def route(self, model: str, encoded: bytes) -> Served:
        """The route of a model that admission answered with: decoded once, until other bytes come for it."""
        # Compared, not looked up by the bytes: a hash of them costs ten times as much.
        known = self._routes.get(model)
        if known is None or known[0] != encoded:
            if len(self._routes) >= _REMEMBERED_ROUTES:
                self._routes.clear()
            known = self._routes[model] = encoded, Served(decode_route(encoded))
        return known[1]

    def choose(self, route: Served, tried: Collection[str], beginning: bytes) -> Replica | None:
        """The replica to send to, None where all have been tried."""
        group = self._groups.get(route.replicas) or self._group(route.replicas)
        group.used = True
        if len(group.replicas) == 1:
            return None if tried else group.replicas[0]
        usable: Sequence[Replica] = group.usable
        if tried:
            untried = [replica for replica in group.replicas if replica.url not in tried]
            usable = [replica for replica in untried if replica in usable] or [one for one in untried if one.up]
        if len(usable) > 1:
            return self._policy(usable, beginning)
        return usable[0] if usable else None

    def shared(self) -> list[Replica]:
        """The replicas that have to be looked at: those of routes with several."""
        several = [group for group in self._groups.values() if len(group.replicas) > 1]
        return list({one.url: one for group in several for one in group.replicas}.values())

    def tell(self, metrics: Metrics) -> None:
        """Say how the replicas are."""
        for url, replica in self._replicas.items():
            metrics.replica_up.values[(url,)] = int(replica.up)
            metrics.replica_outstanding.values[(url,)] = replica.outstanding
            metrics.replica_ejections.values[(url,)] = replica.ejections

    def forget_unused(self, metrics: Metrics) -> None:
        """Let go of the replicas of routes that nobody has called for `FORGET_AFTER_S`."""
        now = monotonic()
        for urls, group in tuple(self._groups.items()):
            if group.used or any(replica.outstanding for replica in group.replicas):
                group.used, group.used_at = False, now
            elif now - group.used_at > FORGET_AFTER_S:
                del self._groups[urls]
                for replica in group.replicas:
                    if replica.leave(group):
                        self._drop(replica, metrics)

    def close(self) -> None:
        """Close all idle connections."""
        for replica in self._replicas.values():
            replica.pool.close()

    def _group(self, urls: tuple[str, ...]) -> Group:
        replicas = tuple(self._replica(url) for url in dict.fromkeys(urls))
        group = self._groups[urls] = Group(replicas)
        return group

    def _replica(self, url: str) -> Replica:
        replica = self._replicas.get(url)
        if replica is None:
            replica = self._replicas[url] = Replica(url, self.addresses)
        return replica

    def _drop(self, replica: Replica, metrics: Metrics) -> None:
        del self._replicas[replica.url]
        replica.pool.close()
        for family in (metrics.replica_up, metrics.replica_outstanding, metrics.replica_ejections):
            family.values.pop((replica.url,), None)

"""Which replica takes a request: the one that has seen its beginning, unless it is busier than the others or ailing.

Rendezvous hashing over organisation and beginning of the prompt (Thaler and Ravishankar, 1998) sends equal beginnings
to one replica, whose prefix cache then holds them; load is bounded as by Mirrokni, Thorup and Zadimoghaddam (2018).
"""

from collections.abc import Collection
from math import ceil
from time import monotonic
from zlib import crc32

from ias.contract.catalogue import ModelRoute, decode_route
from ias_gateway.upstream import Pool

FAILURES_TO_EJECT = 5
EJECTION_S = 10.0
MAX_EJECTION_S = 300.0
LOAD_BOUND = 1.25
"""A replica takes at most this times the mean of what is under way."""
_REMEMBERED_ROUTES = 4096
_SCRAMBLE = 2_654_435_761
"""Knuth's multiplicative hash: CRCs of one text under different seeds differ by a constant alone."""
_MASK = 0xFFFF_FFFF


class Replica:
    """One engine: its connections, what is under way on it, and how it has fared."""

    __slots__ = ("_ejections", "_failures", "_seed", "ejected_until", "outstanding", "pool", "url")

    def __init__(self, url: str) -> None:
        self.url = url
        self.pool = Pool(url)
        self.outstanding = 0
        self.ejected_until = 0.0
        self._failures = 0
        self._ejections = 0
        self._seed = crc32(url.encode())

    def liking(self, beginning: bytes) -> int:
        """How much this replica is the one for requests that begin so; the greatest of all replicas' wins."""
        return crc32(beginning, self._seed) * _SCRAMBLE & _MASK

    def succeeded(self) -> None:
        """It answered."""
        self._failures = self._ejections = 0

    def failed(self) -> None:
        """It did not; after some in a row it rests for a while, longer each time."""
        self._failures += 1
        if self._failures >= FAILURES_TO_EJECT:
            self._failures = 0
            self._ejections += 1
            self.ejected_until = monotonic() + min(EJECTION_S * self._ejections, MAX_EJECTION_S)


class Routing:
    """The replicas of all routes that this process has seen."""

    def __init__(self) -> None:
        self._routes: dict[bytes, ModelRoute] = {}
        self._replicas: dict[str, Replica] = {}

    def route(self, encoded: bytes) -> ModelRoute:
        """The route that admission answered with; the same bytes are decoded once."""
        route = self._routes.get(encoded)
        if route is None:
            if len(self._routes) >= _REMEMBERED_ROUTES:
                self._routes.clear()
            route = self._routes[encoded] = decode_route(encoded)
        return route

    def choose(self, route: ModelRoute, tried: Collection[str], beginning: bytes) -> Replica | None:
        """The replica to send to, None where all have been tried."""
        untried = [self._replica(url) for url in route.replicas if url not in tried]
        if len(untried) <= 1:
            return untried[0] if untried else None
        now = monotonic()
        fit = [replica for replica in untried if replica.ejected_until <= now]
        # At most half of a route's replicas rest: with more, the trouble is elsewhere and all are tried.
        usable = fit if len(fit) * 2 >= len(untried) else untried
        bound = ceil(LOAD_BOUND * (sum(replica.outstanding for replica in usable) + 1) / len(usable))
        free = [replica for replica in usable if replica.outstanding < bound]
        return max(free, key=lambda replica: replica.liking(beginning))

    def close(self) -> None:
        """Close all idle connections."""
        for replica in self._replicas.values():
            replica.pool.close()

    def _replica(self, url: str) -> Replica:
        replica = self._replicas.get(url)
        if replica is None:
            replica = self._replicas[url] = Replica(url)
        return replica

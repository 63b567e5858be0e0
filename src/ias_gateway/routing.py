"""Which replica takes a request: the one with the fewest under way, unless it has just failed too often."""

from collections.abc import Collection
from time import monotonic

from ias.contract.catalogue import ModelRoute, decode_route
from ias_gateway.upstream import Pool

FAILURES_TO_EJECT = 5
EJECTION_S = 10.0
MAX_EJECTION_S = 300.0
_REMEMBERED_ROUTES = 4096


class Replica:
    """One engine: its connections, what is under way on it, and how it has fared."""

    __slots__ = ("_ejections", "_failures", "ejected_until", "outstanding", "pool", "url")

    def __init__(self, url: str) -> None:
        self.url = url
        self.pool = Pool(url)
        self.outstanding = 0
        self.ejected_until = 0.0
        self._failures = 0
        self._ejections = 0

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
        self._turn = 0

    def route(self, encoded: bytes) -> ModelRoute:
        """The route that admission answered with; the same bytes are decoded once."""
        route = self._routes.get(encoded)
        if route is None:
            if len(self._routes) >= _REMEMBERED_ROUTES:
                self._routes.clear()
            route = self._routes[encoded] = decode_route(encoded)
        return route

    def choose(self, route: ModelRoute, tried: Collection[str]) -> Replica | None:
        """The replica to send to, None where all have been tried."""
        untried = [self._replica(url) for url in route.replicas if url not in tried]
        if not untried:
            return None
        if len(untried) == 1:
            return untried[0]
        now = monotonic()
        resting = [replica for replica in untried if replica.ejected_until > now]
        # At most half of a route's replicas rest: with more, the trouble is elsewhere and all are tried.
        usable = untried if len(resting) * 2 > len(route.replicas) else [r for r in untried if r.ejected_until <= now]
        self._turn += 1
        start = self._turn % len(usable)
        return min(usable[start:] + usable[:start], key=lambda replica: replica.outstanding)

    def close(self) -> None:
        """Close all idle connections."""
        for replica in self._replicas.values():
            replica.pool.close()

    def _replica(self, url: str) -> Replica:
        replica = self._replicas.get(url)
        if replica is None:
            replica = self._replicas[url] = Replica(url)
        return replica

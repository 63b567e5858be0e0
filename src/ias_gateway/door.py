"""What every request of this process shares."""

import hmac
from pathlib import Path
from time import monotonic

from ias.contract.usage import Facts
from ias_gateway.addresses import Addresses
from ias_gateway.beats import Beats
from ias_gateway.exchange import Exchange
from ias_gateway.ledger import Ledger
from ias_gateway.ratios import Ratios
from ias_gateway.reply import Limits
from ias_gateway.routing import Routing
from ias_gateway.series import Series
from ias_gateway.settings import GatewaySettings
from ias_gateway.shards import Here
from ias_gateway.store import open_store
from ias_gateway.telemetry import Log, Metrics
from ias_gateway.waiting import Waiting

_REMEMBERED_SALTS = 65_536


def milliseconds(seconds: float) -> float:
    """The same, to the microsecond; `round` takes four times as long."""
    return int(seconds * 1e6) / 1e3


class Door:
    """The process's parts, made once."""

    def __init__(self, settings: GatewaySettings, log: Log) -> None:
        self.settings = settings
        self.log = log
        self.metrics = Metrics()
        times = settings.first_token_timeout, settings.idle_timeout, settings.total_timeout, settings.ping_interval
        self.limits = Limits(*times)
        addresses = Addresses(settings.upstream_allow, log)
        self.routing = Routing(addresses=addresses)
        self.ratios = Ratios()
        self.redis = open_store(settings.redis_url, settings.redis_timeout_ms / 1000, self._redis_is_back)
        self.ledger = Ledger(self.redis, (settings.gateway_name, settings.lease), self.metrics, log)
        folder = Path(settings.spool_dir) if settings.spool_dir else None
        self.waiting = Waiting((folder, settings.gateway_name), self.ledger, self.metrics, log)
        self.beats = Beats(settings.gateway_name, self._counts, (self.redis, addresses), log)
        self._secret = settings.cache_salt_secret.get_secret_value().encode()
        self._salts: dict[str, str] = {}
        self._series: dict[str, tuple[Series, Series]] = {}

    def salt_of(self, org: str) -> str:
        """The organisation's `cache_salt`: HMAC-SHA256 of its id, so that no tenant can guess another's."""
        salt = self._salts.get(org)
        if salt is None:
            if len(self._salts) >= _REMEMBERED_SALTS:
                self._salts.clear()
            salt = self._salts[org] = hmac.digest(self._secret, org.encode(), "sha256").hex()
        return salt

    def timed(self, facts: Facts) -> None:
        """Note how long an admitted request took."""
        series = self._series.get(facts.model)
        if series is None:
            key = (facts.model,)
            series = self._series[facts.model] = self.metrics.duration.series(key), self.metrics.first_token.series(key)
        if facts.duration_ms is not None:
            series[0].observe(facts.duration_ms / 1000)
        if facts.first_token_ms is not None:
            series[1].observe(facts.first_token_ms / 1000)

    def note(self, exchange: Exchange, request_id: str, endpoint: str) -> None:
        """Count a request, and log it where that is wanted. Never a prompt, an answer or a key."""
        self.metrics.requests.values[(endpoint, str(exchange.status))] += 1
        if self.settings.access_log:
            self.log.request(request_id, endpoint, exchange.status, milliseconds(monotonic() - exchange.started_at))

    def _counts(self) -> tuple[int, int, int]:
        """What it says of itself: requests under way, settlements not confirmed, those of them in the spool file."""
        return len(self.ledger.open), len(self.ledger.unsettled), int(self.metrics.spooled.values[()])

    def _redis_is_back(self, same: bool, here: Here) -> None:  # noqa: FBT001 - what a callback is told
        self.log.line("info", "connected to Redis")
        self.ledger.resend(same=same, here=here)

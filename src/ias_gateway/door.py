"""What every request of this process shares."""

import hmac
from pathlib import Path

from ias.contract.asks import Ask
from ias_gateway.account import Times
from ias_gateway.addresses import Addresses
from ias_gateway.beats import Beats
from ias_gateway.clock import now
from ias_gateway.exchange import Exchange
from ias_gateway.ledger import Ledger
from ias_gateway.log import Log
from ias_gateway.ratios import Ratios
from ias_gateway.reply import Limits
from ias_gateway.routing import Routing
from ias_gateway.series import Series, Tally
from ias_gateway.served import quoted
from ias_gateway.settings import GatewaySettings
from ias_gateway.shards import Here
from ias_gateway.store import open_store
from ias_gateway.telemetry import Labels, Metrics
from ias_gateway.tracing import Tracer
from ias_gateway.vouching import Vouching
from ias_gateway.waiting import Waiting

_REMEMBERED_SALTS = 65_536


class Door:
    """The process's parts, made once."""

    def __init__(self, settings: GatewaySettings, log: Log) -> None:
        self.settings = settings
        self.log = log
        self.metrics = Metrics()
        self.metrics.most.values[()] = settings.max_streams
        self.tracer = _tracer(settings, (self.metrics, log))
        times = settings.first_token_timeout, settings.idle_timeout, settings.total_timeout, settings.ping_interval
        self.limits = Limits(*times)
        addresses = Addresses(settings.upstream_allow, log)
        self.routing = Routing(addresses=addresses)
        self.ratios = Ratios()
        self.redis = open_store(settings.redis_url, settings.redis_timeout_ms / 1000, self._redis_is_back)
        self.ledger = Ledger(self.redis, (settings.gateway_name, settings.lease), self.metrics, log)
        self.vouching = Vouching(self.redis, self.ledger)
        folder = Path(settings.spool_dir) if settings.spool_dir else None
        self.waiting = Waiting((folder, settings.gateway_name), self.ledger, self.metrics, log)
        self.beats = Beats(settings.gateway_name, self._counts, (self.redis, addresses), log)
        self._secret = settings.cache_salt_secret.get_secret_value().encode()
        self._salts: dict[str, str] = {}
        self.name = quoted(settings.gateway_name)
        self.early_s = settings.early_dispatch_ms / 1000
        self.confirmed, self.withdrawn = (self.metrics.early.tally((end,)) for end in ("confirmed", "withdrawn"))
        self._access_log = settings.access_log
        self._series: dict[str, tuple[Series, Series, Series]] = {}
        self._answered: dict[tuple[str, int], Tally] = {}

    def salt_of(self, org: str) -> str:
        """The organisation's `cache_salt`: HMAC-SHA256 of its id, so that no tenant can guess another's."""
        salt = self._salts.get(org)
        if salt is None:
            if len(self._salts) >= _REMEMBERED_SALTS:
                self._salts.clear()
            salt = self._salts[org] = hmac.digest(self._secret, org.encode(), "sha256").hex()
        return salt

    def timed(self, ask: Ask, times: Times, output_tokens: int) -> None:
        """Note how long an admitted request took; of a stream also when it began, and how quickly it came."""
        series = self._series.get(ask.model)
        if series is None:
            series = self._series[ask.model] = self._series_of((ask.model,))
        series[0].observe(times.ended - times.started)
        if times.first is not None and ask.streamed:
            series[1].observe(times.first - times.started)
            if output_tokens > 1:
                series[2].observe((times.ended - times.first) / (output_tokens - 1))

    def _series_of(self, key: Labels) -> tuple[Series, Series, Series]:
        metrics = self.metrics
        return metrics.duration.series(key), metrics.first_token.series(key), metrics.token_time.series(key)

    def note(self, exchange: Exchange, request_id: str, endpoint: str) -> None:
        """Count a request, and log it where that is wanted. Never a prompt, an answer or a key."""
        status = exchange.status
        tally = self._answered.get((endpoint, status))
        if tally is None:
            tally = self._answered[endpoint, status] = self.metrics.requests.tally((endpoint, str(status)))
        tally.count += 1
        if exchange.refusal:
            self.metrics.refused.values[(exchange.refusal,)] += 1
        if exchange.span is not None and self.tracer is not None:
            self.tracer.end(exchange.span, (exchange.method.decode(), endpoint), request_id, status)
        if self._access_log:
            self.log.request(request_id, endpoint, status, now() - exchange.started_at)

    def _counts(self) -> tuple[int, int, int]:
        """What it says of itself: requests under way, settlements not confirmed, those of them in the spool file."""
        return len(self.ledger.open), len(self.ledger.unsettled), int(self.metrics.spooled.values[()])

    def _redis_is_back(self, same: bool, here: Here) -> None:  # noqa: FBT001 - what a callback is told
        self.log.line("info", "connected to Redis")
        self.ledger.resend(same=same, here=here)


def _tracer(settings: GatewaySettings, told: tuple[Metrics, Log]) -> Tracer | None:
    if not settings.otlp_endpoint:
        return None
    process = {"service.name": "ias-gateway", "service.instance.id": settings.gateway_name}
    return Tracer(settings.otlp_endpoint, settings.trace_ratio, process, told)

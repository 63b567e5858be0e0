"""The gateway's environment, read once into one frozen object; a bad value names itself at start."""

import secrets
import socket
from collections.abc import Collection
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ias.contract.addresses import Network, networks
from ias.contract.crashpoints import checked
from ias.contract.redis_url import checked_redis_url
from ias_gateway.head import Bounds, hosts

MOST_WORKERS = 256


class GatewaySettings(BaseSettings):
    """What the gateway is told by `IAS_*` variables. Times are seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="IAS_", frozen=True, extra="ignore")

    redis_url: Annotated[str, AfterValidator(checked_redis_url)]
    """Where Redis is: one server, a master that sentinels name, or a cluster; see docs/redis.md."""
    gateway_host: str = "127.0.0.1"
    gateway_port: int = Field(default=8080, ge=1, le=65535)
    gateway_metrics_host: str = "127.0.0.1"
    gateway_metrics_port: int = Field(default=9080, ge=1, le=65535)
    gateway_workers: int = Field(default=1, ge=1, le=MOST_WORKERS)
    """Processes that share the public port. What is said to hold for a process, as `max_streams`, holds for each."""
    gateway_name: str = Field(default_factory=lambda: f"{socket.gethostname()}-{secrets.token_hex(4)}")
    """Names this process in reservations and ledger lines; unlike any other that runs."""
    cache_salt_secret: SecretStr = Field(min_length=32)
    """Derives each organisation's `cache_salt`, so that tenants share no prefix cache."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(hosts)] = Field(
        default=(), validate_default=False
    )
    """Names that clients know this gateway by, `api.example.com` or with a port, with commas between; empty for any."""
    upstream_allow: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(networks)] = Field(
        default=(), validate_default=False
    )
    """Networks in which engines may be though they are this machine's, its link's or a cloud's metadata service's."""
    max_body_bytes: int = Field(default=2 * 1024 * 1024, ge=1024)
    max_audio_bytes: int = Field(default=25 * 1024 * 1024, ge=1024)
    """The longest form with a recording; vLLM takes 25 MiB (`VLLM_MAX_AUDIO_CLIP_FILESIZE_MB`)."""
    head_timeout: float = Field(default=10, gt=0)
    body_timeout: float = Field(default=30, gt=0)
    stalled_timeout: float = Field(default=30, gt=0)
    """How long a client may leave unread what was written to it."""
    max_streams: int = Field(default=500, ge=1)
    """Requests under way at once in a process; more are turned away."""
    shed_lag_ms: int = Field(default=250, ge=1)
    """New requests are turned away while the event loop is later than this."""
    lease: int = Field(default=30, ge=2, le=300)
    tick_ms: int = Field(default=200, ge=10, le=5000)
    """Between two checkpoints of open streams: a killed gateway leaves this, and its lateness, unbilled."""
    first_token_timeout: float = Field(default=120, gt=0)
    idle_timeout: float = Field(default=60, gt=0)
    total_timeout: float = Field(default=900, gt=0)
    ping_interval: float = Field(default=15, gt=0)
    """Silence of a stream after which its client gets a comment, so that nothing in between hangs up."""
    watch_interval: float = Field(default=2, gt=0)
    """Between two looks at the health and load of a replica that has others beside it."""
    redis_timeout_ms: int = Field(default=250, ge=10, le=10_000)
    early_dispatch_ms: int = Field(default=500, ge=0, le=60_000)
    """For so long after a request was let in with all limits ample, others of the same key for the same model go to
    their engine while Redis is asked; their clients hear nothing before Redis has let them in. 0: none does."""
    drain_timeout: float = Field(default=30, ge=0)
    spool_dir: str = ""
    """Folder for settlements that Redis does not take, on a disk of this machine that outlives the process; empty for
    none. Gateways may share it: each has a file of its own, and takes over those of gateways that have ended."""
    access_log: bool = True
    otlp_endpoint: str = ""
    """OpenTelemetry collector (HTTP), as `http://collector:4318`; nothing is traced where empty."""
    trace_ratio: float = Field(default=1.0, ge=0, le=1)
    """Of requests that come without a `traceparent`, how many are traced; who sends one decides by its flag."""
    log_level: str = "INFO"
    crashpoint: Annotated[str, AfterValidator(checked)] = ""
    """Where this process kills itself, for tests of faults alone; see docs/reliability.md."""

    def bounds(self, forms: Collection[bytes]) -> Bounds:
        """What clients may send; `forms` are the paths that take a form with a recording."""
        return Bounds(
            self.max_body_bytes,
            hosts=self.allowed_hosts,
            forms=dict.fromkeys(forms, self.max_audio_bytes),
            head_s=self.head_timeout,
            body_s=self.body_timeout,
            stalled_s=self.stalled_timeout,
        )


def read_settings() -> GatewaySettings:
    """The settings of this process.

    Raises:
        SystemExit: a variable is missing or bad; the message names each of them.
    """
    try:
        return GatewaySettings()
    except ValidationError as error:
        lines = (f"IAS_{'_'.join(map(str, item['loc'])).upper()}: {item['msg']}" for item in error.errors())
        raise SystemExit("settings:\n  " + "\n  ".join(lines)) from None

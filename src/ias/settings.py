"""The environment, read once into one frozen object; a bad value names itself at start."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from platformdirs import user_cache_path
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ias.contract.addresses import Network, networks
from ias.contract.crashpoints import checked
from ias.contract.redis_url import checked_redis_url


def folders(text: str) -> tuple[Path, ...]:
    """The folders of a list with colons."""
    return tuple(Path(part) for part in text.split(":") if part)


def beside(module: Path) -> Path:
    """The migrations that came with a module of ours: a wheel has them in the package, a checkout beside `src`."""
    installed = module.parent / "migrations"
    return installed if installed.is_dir() else module.parents[2] / "migrations"


SHORTEST_SECRET = 32


class BadSettings(SystemExit):
    """Ends the process with one line per bad value."""


class Settings(BaseSettings):
    """What api, worker and the operating commands are told by `IAS_*` variables."""

    model_config = SettingsConfigDict(env_prefix="IAS_", frozen=True, extra="ignore")

    database_url: str
    """PostgreSQL for the processes; they drop to the role `ias_app` on each connection."""
    migration_database_url: str = ""
    """PostgreSQL as the owner of the schemas; `database_url` where empty."""
    database_pool: int = Field(default=10, ge=2, le=200)
    redis_url: Annotated[str, AfterValidator(checked_redis_url)]
    """Where Redis is: one server, a master that sentinels name, or a cluster; see docs/redis.md."""
    amqp_url: str = ""
    """RabbitMQ; where empty the worker's relay calls the ingest functions itself."""
    relay_takeover_s: float = Field(default=30.0, gt=0)
    """How long an outbox entry may be with one relay before another takes it over."""
    relay_again_s: float = Field(default=60.0, gt=0)
    """How old an outbox entry that no ledger line is found of must be to be relayed again."""
    worker_consumes: Literal["both", "ledger", "usage"] = "both"
    """Which queue a worker takes from; where events come faster than one process can take, let each have its own."""
    check_every_s: float = Field(default=60.0, gt=0)
    """How often Redis's counts are compared with the ledger."""
    compare_every_s: float = Field(default=600.0, gt=0)
    """How often analytics' totals are compared with the ledger's, at a check."""
    keep_events_days: int = Field(default=90, ge=7)
    """How long usage events are kept, one for each request; sums of them outlast them."""
    keep_rollups_days: int = Field(default=731, ge=62)
    """How long sums of usage are kept."""
    keep_policy_changes_days: int = Field(default=365, ge=7)
    """How long it is kept what Git changed, and what was changed beside it and put back."""
    vitals_every_s: float = Field(default=10.0, gt=0)
    """How often a worker looks at what `ias doctor` looks at, for its metrics."""
    usage_every_s: float = Field(default=60.0, gt=0)
    """How often a worker sums up what organisations have used this month, for its metrics."""
    amqp_management_url: str = ""
    """RabbitMQ's management plugin, HTTP; where empty, nobody can see whether the queues are bound."""
    jwt_secret: SecretStr = Field(min_length=32)
    api_host: str = "127.0.0.1"
    api_port: int = Field(default=8081, ge=1, le=65535)
    worker_host: str = "127.0.0.1"
    worker_port: int = Field(default=8082, ge=1, le=65535)
    public_url: str = ""
    """Where people reach the API, for invite links; its own address where empty."""
    gateway_url: str = "http://127.0.0.1:8080"
    """Where people reach the gateway; pages tell it to them."""
    gateway_internal_url: str = ""
    """Where the api process itself reaches the gateway, for the playground; as people do where empty."""
    plain_cookies: bool = False
    """Whether browsers may keep sessions of pages over plain http from other machines, and Safari from its own."""
    upstream_allow: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(networks)] = Field(
        default=(), validate_default=False
    )
    """Networks, with commas between, where a model may be registered by address though they are not public."""
    hash_passwords_with: Literal["bcrypt", "argon2id"] = "bcrypt"
    """How new passwords are hashed; others are hashed anew at the next login."""
    bcrypt_cost: int = Field(default=12, ge=4, le=16)
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(networks)] = Field(
        default=(), validate_default=False
    )
    """Networks of proxies whose `X-Forwarded-For` is believed, with commas between."""
    gitops_every_s: float = Field(default=30.0, gt=0)
    """How often a worker looks at the repositories that organisations are bound to."""
    gitops_dir: Path = user_cache_path("ias", appauthor=False) / "gitops"
    """Where a worker keeps what it fetched; it may be lost at any time."""
    gitops_local: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(folders)] = Field(
        default=(), validate_default=False
    )
    """Folders, with colons between, whose repositories organisations may be bound to by their path."""
    gitops_fetch_s: float = Field(default=60.0, gt=0)
    """How long fetching a repository may take."""
    gitops_fetch_mib: int = Field(default=64, ge=1, le=4096)
    """How large a fetch may be, in MiB."""
    gitops_ca_file: str = ""
    """Certificates that repositories on https are checked with; the system's where empty."""
    gitops_webhook_secret: SecretStr = SecretStr("")
    """What Git hosts sign their webhooks with, 32 characters or more; where empty, webhooks are not taken."""
    log_level: str = "INFO"
    migrations_dir: Path = Field(default_factory=lambda: beside(Path(__file__).resolve()))
    """The migrations of this release."""
    crashpoint: Annotated[str, AfterValidator(checked)] = ""
    """Where a worker kills itself, for tests of faults alone; see docs/reliability.md."""
    otlp_endpoint: str = ""
    """OpenTelemetry collector (HTTP); no traces are sent where empty."""
    trace_ratio: float = Field(default=1.0, ge=0, le=1)
    """Of requests that come without a `traceparent`, how many are traced; who sends one decides by its flag."""

    @field_validator("gitops_webhook_secret")
    @classmethod
    def _is_long(cls, secret: SecretStr) -> SecretStr:
        if 0 < len(secret.get_secret_value()) < SHORTEST_SECRET:
            raise ValueError(f"must have {SHORTEST_SECRET} characters or more")
        return secret

    @property
    def api_url(self) -> str:
        """Where people reach the API."""
        return self.public_url or f"http://{self.api_host}:{self.api_port}"

    @property
    def gateway_from_here(self) -> str:
        """Where this process reaches the gateway."""
        return self.gateway_internal_url or self.gateway_url


@cache
def settings() -> Settings:
    """The settings of this process.

    Raises:
        BadSettings: a variable is missing or bad; the message names each of them.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise BadSettings(explain(error)) from None


def explain(error: ValidationError) -> str:
    """One line per bad variable: its name and what is wrong with it, never its value."""
    lines = (f"IAS_{'_'.join(str(part) for part in item['loc']).upper()}: {item['msg']}" for item in error.errors())
    return "settings:\n  " + "\n  ".join(lines)

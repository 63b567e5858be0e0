"""What the environment says about the services of a test run."""

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class RigSettings(BaseSettings):
    """Read once per process; an unset variable means that the rig brings its own service."""

    model_config = SettingsConfigDict(frozen=True, populate_by_name=True)

    database_url: str | None = Field(default=None, alias="IAS_TEST_DATABASE_URL")
    redis_url: str | None = Field(default=None, alias="IAS_TEST_REDIS_URL")
    amqp_url: str | None = Field(default=None, alias="IAS_TEST_AMQP_URL")
    management_url: str | None = Field(default=None, alias="IAS_TEST_RABBITMQ_MANAGEMENT_URL")
    redis_kind: Literal["one", "cluster"] = Field(default="one", alias="IAS_TEST_REDIS_KIND")
    """What the shared Redis of the gateway's tests is."""
    world: str | None = Field(default=None, alias="IAS_TEST_WORLD")
    cache_home: Path = Field(default=Path("~/.cache"), alias="XDG_CACHE_HOME")

    @property
    def cache(self) -> Path:
        """The folder in which built roots outlive a run."""
        return self.cache_home.expanduser() / "ias"


SETTINGS = RigSettings()

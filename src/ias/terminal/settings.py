"""What `ias-admin` takes from the environment; an option on the command line wins over it."""

from functools import cache

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ias.settings import BadSettings, explain


class TerminalSettings(BaseSettings):
    """`IAS_*` variables that the client reads."""

    model_config = SettingsConfigDict(env_prefix="IAS_", frozen=True, extra="ignore")

    api_url: str = ""
    """Where the API is; the profile's where empty."""
    profile: str = "default"
    access_token: SecretStr = SecretStr("")
    """Speak with this token and keep nothing: for programs."""
    gateway_url: str = ""
    """Where the gateway is, without `/v1`; for `doctor` alone."""
    api_key: SecretStr = Field(default=SecretStr(""), validation_alias=AliasChoices("IAS_API_KEY", "OPENAI_API_KEY"))
    """A key to try the gateway with; for `doctor` alone."""


@cache
def settings() -> TerminalSettings:
    """The settings of this run.

    Raises:
        BadSettings: a variable is bad; the message names each of them.
    """
    try:
        return TerminalSettings()
    except ValidationError as error:
        raise BadSettings(explain(error)) from None

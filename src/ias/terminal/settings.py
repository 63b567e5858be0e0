"""What `ias-admin` takes from the environment; an option on the command line wins over it."""

from functools import cache

from pydantic import SecretStr, ValidationError
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

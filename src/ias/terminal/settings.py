"""What `ias-admin` takes from the environment; an option on the command line wins over it."""

from functools import cache

from pydantic import AliasChoices, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ias.settings import BadSettings, explain


class TerminalSettings(BaseSettings):
    """`IAS_*` variables that the client reads."""

    model_config = SettingsConfigDict(env_prefix="IAS_", frozen=True, extra="ignore")

    api_url: str = Field("", description="Where the API is; the profile's address where it is not set.")
    profile: str = Field("default", description="Which login to use.")
    access_token: SecretStr = Field(SecretStr(""), description="Speak with this token and keep nothing: for programs.")
    gateway_url: str = Field("", description="Where the gateway is; `doctor` tries it.")
    api_key: SecretStr = Field(
        SecretStr(""),
        validation_alias=AliasChoices("IAS_API_KEY", "OPENAI_API_KEY"),
        description="A key that `doctor` tries the gateway with; `OPENAI_API_KEY` where it is not set.",
    )


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

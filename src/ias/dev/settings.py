"""What the caller's environment says about the embedded stack: ports that are asked for, and what processes inherit."""

import os
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ias.dev.fault import Fault

CHECKOUT = Path(__file__).resolve().parents[3]


class AskedPorts(BaseSettings):
    """Ports that must be these and no others; None takes the usual one, or a free one where that is taken."""

    model_config = SettingsConfigDict(env_prefix="IAS_", frozen=True, extra="ignore")

    gateway_port: int | None = Field(default=None, ge=1, le=65535)
    gateway_metrics_port: int | None = Field(default=None, ge=1, le=65535)
    api_port: int | None = Field(default=None, ge=1, le=65535)
    worker_port: int | None = Field(default=None, ge=1, le=65535)
    engine_port: int | None = Field(default=None, ge=1, le=65535)
    engine_control_port: int | None = Field(default=None, ge=1, le=65535)
    postgres_port: int | None = Field(default=None, ge=1, le=65535)
    valkey_port: int | None = Field(default=None, ge=1, le=65535)
    vllm_port: int | None = Field(default=None, ge=1, le=65535)


def asked_ports() -> dict[str, int]:
    """The ports that the environment asks for, by process.

    Raises:
        Fault: one of them is no port.
    """
    try:
        asked = AskedPorts()
    except ValidationError as error:
        names = ", ".join(f"IAS_{item['loc'][0]}".upper() for item in error.errors())
        raise Fault(f"{names} must be a port between 1 and 65535.") from None
    return {name.removesuffix("_port"): port for name, port in asked.model_dump(exclude_none=True).items()}


def inherited() -> dict[str, str]:
    """The environment for the stack's processes: the caller's, less `IAS_*`, which the stack sets itself."""
    surroundings = os.environ  # noqa: TID251 - this is a settings module; processes need PATH, HOME and the like
    return {name: value for name, value in surroundings.items() if not name.startswith("IAS_")}

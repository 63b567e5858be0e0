"""The gateway's environment: a bad value names itself at start."""

import pytest
from pydantic import ValidationError

from ias_gateway.settings import GatewaySettings, read_settings

LEAST = {"IAS_REDIS_URL": "redis://127.0.0.1:6379/0", "IAS_CACHE_SALT_SECRET": "s" * 32}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in GatewaySettings.model_fields:
        monkeypatch.delenv(f"IAS_{name.upper()}", raising=False)
    for name, value in LEAST.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_redis_and_a_secret_are_all_that_must_be_given() -> None:
    settings = read_settings()
    assert settings.redis_url == LEAST["IAS_REDIS_URL"]
    assert (settings.gateway_port, settings.gateway_metrics_port) == (8080, 9080)
    assert settings.gateway_host == settings.gateway_metrics_host == "127.0.0.1"


def test_two_processes_have_two_names() -> None:
    assert read_settings().gateway_name != read_settings().gateway_name


def test_the_secret_is_not_shown() -> None:
    assert "s" * 32 not in repr(read_settings())


def test_settings_never_change() -> None:
    with pytest.raises(ValidationError):
        read_settings().lease = 5


def test_every_bad_value_is_named_at_once(environment: pytest.MonkeyPatch) -> None:
    environment.delenv("IAS_CACHE_SALT_SECRET")
    bad = {"REDIS_URL": "127.0.0.1:6379", "LEASE": "0", "TICK_MS": "often", "GATEWAY_PORT": "0", "IDLE_TIMEOUT": "0"}
    for name, value in bad.items():
        environment.setenv(f"IAS_{name}", value)
    with pytest.raises(SystemExit) as refused:
        read_settings()
    for name in (*bad, "CACHE_SALT_SECRET"):
        assert f"IAS_{name}: " in str(refused.value)


@pytest.mark.parametrize(
    "url", ["redis://h:1/2", "rediss://user:pass@h:6380/0", "redis+sentinel://h1,h2:3/gate", "rediss+cluster://h1,h2:3"]
)
def test_redis_may_be_spoken_to_in_the_open_or_by_tls_and_be_one_or_several(
    environment: pytest.MonkeyPatch, url: str
) -> None:
    environment.setenv("IAS_REDIS_URL", url)
    assert read_settings().redis_url == url

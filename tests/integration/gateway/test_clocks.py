"""A gateway whose clock ends does not serve on: leases would lapse, limits not be held, and nobody would see it."""

import asyncio

import pytest

from ias_gateway import app
from ias_gateway.settings import GatewaySettings
from tests.services import Services, free_port


async def test_a_gateway_without_its_clock_drains_and_ends_with_an_error(
    services: Services, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    async def broken(_: object) -> None:
        raise RuntimeError("the clock is broken")

    monkeypatch.setattr(app, "_clock", broken)
    # Of a process of its own: not of this one.
    monkeypatch.setattr(app, "_calm_the_collector", lambda: None)
    monkeypatch.setattr(app, "stop_asked", asyncio.Event)
    settings = GatewaySettings(
        redis_url=services.redis_url,
        gateway_port=free_port(),
        gateway_metrics_port=free_port(),
        cache_salt_secret="a secret for tests that is long enough to be taken",
    )

    with pytest.raises(SystemExit, match="its log says why"):
        await app.serve(settings)

    assert b"the clock is broken" in capsysbinary.readouterr().out

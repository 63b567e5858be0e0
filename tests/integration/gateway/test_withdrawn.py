"""P6 and P8: access that is withdrawn ends within seconds, and a Redis that is away is a 503 at once."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.gateway.place import ORG, USER, Place, Tenant, eventually, place_of, tokens_told
from tests.integration.gateway.test_losses import stream
from tests.services import Services

LONG = "[[mock tokens=3000 delay_ms=10]]"
CUT_WITHIN_S = 5
REFUSED_WITHIN_S = 1
ANSWERED_WITHIN_S = 0.3


@pytest.fixture
def own(services: Services, tmp_path: Path) -> Iterator[Place]:
    """A gateway that waits for Redis as long as one does that is told nothing."""
    with place_of(services, tmp_path, IAS_REDIS_TIMEOUT_MS="250") as place:
        yield place


async def served(tenant: Tenant) -> bool:
    return (await tenant.chat(max_tokens=1)).status_code == 200


async def revoke(tenant: Tenant) -> None:
    await tenant.edge.revoke(tenant.tag, tenant.record, 2)


async def suspend_organisation(tenant: Tenant) -> None:
    await tenant.project("org", {"id": ORG, "st": "suspended"})


async def suspend_user(tenant: Tenant) -> None:
    await tenant.project("org", {"id": ORG, "st": "active", f"x:{USER}": 1})


@pytest.mark.parametrize(
    ("withdraw", "status"),
    [(revoke, 401), (suspend_organisation, 403), (suspend_user, 403)],
    ids=("a key revoked", "an organisation suspended", "a user suspended"),
)
async def test_open_streams_are_cut_and_new_requests_refused(tenant: Tenant, withdraw, status: int) -> None:  # noqa: ANN001
    async with stream(tenant, LONG, 3000) as one:
        begun = time.monotonic()
        await withdraw(tenant)
        answer = await tenant.chat()
        assert answer.status_code == status
        text = await asyncio.wait_for(one.rest(), CUT_WITHIN_S - (time.monotonic() - begun))
    assert b'"access_withdrawn"' in text
    assert b"[DONE]" not in text
    lines = await tenant.lines_of(one.request_id)
    await tenant.no_others(lines)
    (line,) = lines
    assert line["o"] == "cut"
    wrote = (await tenant.place.wrote(line["r"]))["completion_tokens"]
    assert tokens_told(text) == int(line["ct"]) <= wrote


async def test_a_redis_that_is_away_is_a_503_within_300_ms_while_open_streams_go_on(lone: Tenant) -> None:
    await eventually(lambda: served(lone))
    async with stream(lone, meant=(200, 503)) as one:
        lone.place.redis.stop()  # it does not answer, which is the slowest way to be away
        took = []
        for _ in range(5):
            begun = time.monotonic()
            answer = await lone.chat()
            took.append(time.monotonic() - begun)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
            assert int(answer.headers["retry-after"]) >= 1
        # The quickest, since the machine has others to serve; the gateway waits 250 ms for Redis, and looks each 50.
        assert min(took) < ANSWERED_WITHIN_S + 0.05
        lone.place.redis.cont()
        assert (await one.rest()).endswith(b"data: [DONE]\n\n")
    await eventually(lambda: served(lone))


async def test_a_redis_that_refuses_connections_is_a_503_at_once(lone: Tenant) -> None:
    await eventually(lambda: served(lone))
    lone.place.redis.kill()
    took = []
    for _ in range(5):
        begun = time.monotonic()
        assert (await lone.chat()).status_code == 503
        took.append(time.monotonic() - begun)
    assert min(took) < ANSWERED_WITHIN_S
    lone.place.redis.start()

"""Sentinels in other ways: a change by hand, what keeps the books, sentinels that are gone."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from ias.edge import EdgeDown
from tests.integration.gateway.following import has, lines_of, served, took_over
from tests.integration.gateway.guarded import gate, place, tenant
from tests.integration.gateway.place import CHAT, Place, Tenant, eventually, place_of
from tests.services import Services
from tests.services.cluster import replicated, until
from tests.services.sentinels import Watched

__all__ = ["gate", "place", "tenant"]


async def test_a_master_that_is_changed_by_hand_is_left_for_the_other(
    place: Place, gate: Watched, tenant: Tenant
) -> None:
    before, after = gate.master, gate.replica
    body = tenant.body("[[mock tokens=300 delay_ms=10]]", stream=True, max_tokens=300)
    async with place.client.stream("POST", CHAT, json=body, headers=tenant.headers) as answer:
        parts = answer.aiter_bytes()
        whole = await anext(parts)
        gate.ask("FAILOVER", "gate")
        async for part in parts:
            whole += part
    assert whole.endswith(b"data: [DONE]\n\n")
    await eventually(lambda: took_over(gate, after), 60)
    await eventually(lambda: served(tenant), 30)
    await asyncio.to_thread(until, gate.in_sync)
    first = answer.headers["x-request-id"]
    await eventually(lambda: has(gate, tenant, {first}), 30)
    assert (first, "completed", 300) in await lines_of(gate, tenant)
    with gate.client(before) as client:
        assert client.info("replication")["role"] == "slave"


async def test_what_keeps_the_books_follows_the_master_too(gate: Watched, tenant: Tenant) -> None:
    replica = gate.replica
    with gate.client(gate.master) as client:
        await asyncio.to_thread(replicated, client)
    gate.master.kill()
    with pytest.raises(EdgeDown):
        await tenant.edge.complete(tenant.tag)

    async def confirmed() -> bool:
        try:
            await tenant.edge.project(tenant.tag, "org", 99, {"id": "x", "st": "suspended"})
        except EdgeDown:
            return False
        return True

    await eventually(confirmed, 60)
    with gate.client(replica) as client:
        assert client.hget(f"{{o:{tenant.tag}}}:org", "st") == b"suspended"
        assert await tenant.edge.whole()
        assert await tenant.edge.library_is_current()


async def test_one_sentinel_of_three_is_enough_to_find_the_master(
    services: Services, gate: Watched, tmp_path: Path, tenants: Callable[[Place], Tenant]
) -> None:
    for sentinel in gate.sentinels[:2]:
        sentinel.kill()
    with place_of(services, tmp_path, gate) as other:
        tenant = tenants(other)
        await tenant.edge.load_library()
        await tenant.begin()
        assert await served(tenant)

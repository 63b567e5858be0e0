"""A gateway follows the master that sentinels name; lines survive as far as gateways keep them."""

import asyncio

from ias.contract import admission
from tests.integration.gateway.following import has, lines_of, served, took_over
from tests.integration.gateway.guarded import gate, place, tenant
from tests.integration.gateway.place import Place, Tenant, eventually
from tests.services.cluster import replicated, until
from tests.services.sentinels import Watched

__all__ = ["gate", "place", "tenant"]


async def test_a_replica_that_takes_over_gets_what_it_had_not_heard_of(
    place: Place, gate: Watched, tenant: Tenant
) -> None:
    master, replica = gate.master, gate.replica
    assert await served(tenant)
    with gate.client(master) as client:
        await asyncio.to_thread(replicated, client)
        # From here on the replica hears nothing more: what is settled now is lost with the master.
        replica.stop()
        client.client_kill_filter(_type="replica")
    ids = {(await tenant.chat(max_tokens=2)).headers["x-request-id"] for _ in range(5)}
    assert await has(gate, tenant, ids)
    master.kill()
    replica.cont()
    assert (await tenant.chat()).status_code == 503
    await eventually(lambda: took_over(gate, replica), 60)
    with gate.client(replica) as client:
        assert client.xlen(admission.outbox(tenant.tag)) in {1, 6}
    await eventually(lambda: served(tenant), 30)
    await eventually(lambda: has(gate, tenant, ids), 30)
    lines = await lines_of(gate, tenant)
    assert len(lines) == len(set(lines)) == 7
    oracle = await place.oracle()
    assert all(tokens == oracle[request_id]["completion_tokens"] for request_id, _, tokens in lines)
    # The old master comes back as a replica of the new one, and nobody writes to it.
    master.start()
    await asyncio.to_thread(until, gate.in_sync)
    assert gate.master is replica
    assert await served(tenant)

"""A gateway on a master that sentinels watch."""

import asyncio

from ias.contract import admission
from tests.integration.gateway.place import Tenant
from tests.services.sentinels import Watched


async def served(tenant: Tenant) -> bool:
    answer = await tenant.chat(max_tokens=1)
    assert answer.status_code in {200, 503}, answer.text
    assert answer.status_code == 200 or answer.headers["retry-after"]
    return answer.status_code == 200


async def lines_of(gate: Watched, tenant: Tenant) -> list[tuple[str, str, int]]:
    """Request, outcome and output tokens of each line in the outbox of whoever is the master."""
    with gate.client(gate.master) as client:
        entries = await asyncio.to_thread(client.xrange, admission.outbox(tenant.tag))
    return [(fields[b"r"].decode(), fields[b"o"].decode(), int(fields[b"ct"])) for _, fields in entries]


async def has(gate: Watched, tenant: Tenant, wanted: set[str]) -> bool:
    return wanted <= {request_id for request_id, _, _ in await lines_of(gate, tenant)}


async def took_over(gate: Watched, server: object) -> bool:
    return gate.master is server

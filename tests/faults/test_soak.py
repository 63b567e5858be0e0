"""A short soak: every answer explained and every token accounted for; the long one is `nox -s soak`."""

from pathlib import Path

import pytest

from tests.services import Services
from tests.soak.figures import complaints, rows
from tests.soak.harm import Deed
from tests.soak.place import own_part, place
from tests.soak.run import Effort, soak

QUICK = Effort(
    seconds=15,
    clients=8,
    deeds=(Deed.REPLICA_LEAVES, Deed.REPLICA_DIES, Deed.GATEWAY_WORKER_DIES, Deed.GATEWAY_RESTARTS),
)
"""What test_kill_nine kills is left alone here."""
PATIENT = {
    "IAS_LEASE": "8",
    "IAS_REDIS_TIMEOUT_MS": "5000",
    "IAS_IDLE_TIMEOUT": "8",
    "IAS_TOTAL_TIMEOUT": "16",
    "IAS_DRAIN_TIMEOUT": "5",
}


@pytest.mark.timeout(400)
async def test_a_short_soak_leaves_nothing_unexplained_and_nothing_behind(services: Services, tmp_path: Path) -> None:
    with own_part(services) as urls, place(urls, tmp_path, PATIENT) as it:
        whole = await soak(it, QUICK, print)
    missed = [row for row in rows(whole) if not row.met]
    assert not missed, f"{missed}\n{complaints(whole)}"
    assert whole.harms == list(QUICK.deeds)
    assert whole.books.right, whole.books
    assert whole.books.ledger > 0
    explained = set(whole.verdicts())
    assert {"answered in full", "given up by the client", "refused: the client's own error"} <= explained

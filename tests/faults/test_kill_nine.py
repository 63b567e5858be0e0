"""The quick part of the matrix: every process is killed while requests run, and afterwards the books are right."""

from collections.abc import Iterator

import pytest

from tests.faults import budgets, engines, gateways, monolith, promises, stores
from tests.faults.matrix import Fault, undergo
from tests.faults.rig import Rig, rig
from tests.services import Services


def _named(*names: str) -> list[Fault]:
    every = [fault for group in (gateways, stores, monolith, engines, budgets, promises) for fault in group.FAULTS]
    return [next(fault for fault in every if fault.name == name) for name in names]


QUICK = _named(
    "gateway: both killed -9 at once",
    "gateway: kill -9 before_settle",
    "worker: kill -9 after_commit",
    "engine: kill -9",
    "PostgreSQL: kill -9",
    "worker to PostgreSQL: answer to COMMIT lost",
    "RabbitMQ: kill -9",
    "Redis: kill -9",
    "gateways to Redis: answer to a settle lost",
    "budget: 500 at once with room for 37",
)


@pytest.fixture(scope="module")
def place(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(services, tmp_path_factory.mktemp("kill-nine"), PATIENT) as it:
        it.most_unbilled_ms = UNBILLED_MS
        yield it


PATIENT = {"IAS_REDIS_TIMEOUT_MS": "5000", "IAS_SHED_LAG_MS": "10000"}
"""Other tests run at the same time; a gateway that starves is not what is tested here."""
UNBILLED_MS = 3_000
"""A starved gateway's checkpoints are late."""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.name)
async def test_the_books_are_right_after(place: Rig, fault: Fault) -> None:
    for part in fault.needs:
        if part not in place.parts:
            pytest.skip(f"there is no {part} in this world")
    result = await undergo(place, fault)
    assert result.clean, result.wrongs


@pytest.mark.timeout(400)
async def test_a_gateway_serves_while_everything_but_redis_and_engine_is_down(place: Rig) -> None:
    (fault,) = [fault for fault in promises.FAULTS if fault.name.startswith("all but Redis")]
    result = await undergo(place, fault)
    assert result.clean, result.wrongs
    assert place.figures["P7 failed"] == 0

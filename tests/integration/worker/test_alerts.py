"""Workers tell of budgets that run out: soon, once, and on their metrics."""

from contextlib import ExitStack

import httpx

from tests.integration.billing.ground import Org
from tests.integration.billing.test_alerts import alerts, give, use
from tests.integration.worker.place import Place, until
from tests.product.processes import Product


def told(worker: Product, name: str) -> dict[str, float]:
    """The values of a metric by its labels."""
    lines = httpx.get(f"{worker.worker_url}/metrics").text.splitlines()
    return {line.split(" ")[0]: float(line.split(" ")[1]) for line in lines if line.startswith(f"{name}{{")}


async def test_an_alert_is_raised_soon_and_once_whichever_worker_sees_it(place: Place, org: Org) -> None:
    async def three() -> bool:
        return len(await alerts(place.ground, org)) == 3

    async def shown() -> bool:
        return all(told(worker, "ias_budgets_passed") == passed for worker in workers)

    passed = {f'ias_budgets_passed{{scope="organisation",threshold="{at}"}}': 1.0 for at in (80, 90, 100)}
    await give(place.ground, org, 1000)
    with ExitStack() as stack:
        workers = [stack.enter_context(place.worker()) for _ in range(2)]
        await until(place.ground.edge.whole)
        await use(org, 1000)
        await until(three)
        await until(shown)

        raised = [value for worker in workers for value in told(worker, "ias_budget_alerts_total").values()]
        assert sum(raised) == 3
    assert await alerts(place.ground, org) == [("org", threshold, 1000, 1000) for threshold in (80, 90, 100)]

"""Whatever people do in whatever order, each sees and does what the table of roles says, and nothing of others.

`make test` looks briefly, and always at the same orders; `nox -s tenants` looks at many new ones and says their seed.
"""

import os
from collections.abc import Iterator

import pytest
import redis
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.errors import Flaky
from hypothesis.stateful import run_state_machine_as_test

from tests.integration.identity.asking import Asking
from tests.integration.identity.conftest import PASSWORD, ROOT, Api, environment, running
from tests.integration.identity.machine import Tenants
from tests.integration.identity.model import Session
from tests.services import Services

QUICK = 8
EXAMPLES = int(os.environ.get("IAS_TEST_MACHINE_EXAMPLES", str(QUICK)))
SEED = int(os.environ.get("IAS_TEST_MACHINE_SEED", "1"))
"""Which orders: the same number, the same ones."""
LOOK = settings(
    max_examples=EXAMPLES,
    stateful_step_count=20 if EXAMPLES <= QUICK else 50,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    phases=[Phase.generate] if EXAMPLES <= QUICK else [Phase.generate, Phase.shrink],
)


@pytest.fixture
def proxied(services: Services, migrated: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An api behind a proxy, so that every request may come from an address of its own."""
    with services.database(migrated) as url:
        env = environment(url, services.redis_url) | {"IAS_TRUSTED_PROXIES": "127.0.0.0/8"}
        with running(tmp_path_factory.mktemp("tenants"), env) as api:
            yield api


@pytest.mark.parametrize("number", [SEED])
def test_in_no_order_of_events_does_anybody_see_or_do_more_than_their_role_says(
    proxied: Api, services: Services, number: int
) -> None:
    asking = Asking(proxied.url)
    status, made = asking.ask(None, "POST", "/auth/login", {"email": ROOT, "password": PASSWORD})
    assert status == 200
    failures: list[str] = []
    known = {
        "failures": failures,
        "asking": asking,
        "root": Session(made["access_token"], made["refresh_token"]),
        "edge": redis.Redis.from_url(services.redis_url),
    }
    try:
        run_state_machine_as_test(seed(number)(type("Machine", (Tenants,), known)), settings=LOOK)
    except Flaky as error:
        raise AssertionError(f"once, and not again: {failures}") from error

"""One running product per test process, on the best services that the machine can have."""

from collections.abc import Iterator

import pytest

from tests.product import Person, Product, product
from tests.product.people import register_mock, system_admin
from tests.services import Services


@pytest.fixture(scope="session", params=["best", "embedded"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """The product in both worlds: TimescaleDB and RabbitMQ, and the wheels alone."""
    world: Services = request.getfixturevalue("services" if request.param == "best" else "embedded")
    folder = tmp_path_factory.mktemp(request.param)
    with world.database() as database, world.fresh("redis") as redis:
        if world.amqp_url is None:
            with product(folder, database, redis.url) as whole:
                yield whole
        else:
            with world.virtual_host() as amqp, product(folder, database, redis.url, amqp) as whole:
                yield whole


@pytest.fixture
def admin(running: Product) -> Person:
    """A system admin, on a platform that serves `mock-gpt`."""
    person = system_admin(running)
    register_mock(person)
    return person

"""The services that every test may ask for. They start when the first test does, once per run."""

import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import click
import pytest
from httpx import create_ssl_context
from hypothesis import HealthCheck, settings

from tests.services import Services, attend, join, new_folder
from tests.services.cluster import Cluster, cluster
from tests.services.ending import end
from tests.services.locks import hold
from tests.services.worlds import choose

FOLDER = pytest.StashKey[Path]()

# How long an example takes says something of the machine, not of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--once`: what is marked `alike` in the best world only. `nox -s worlds` leaves nothing out."""
    parser.addoption("--once", action="store_true", help="leave tests that are alike out of the embedded world")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is run a second time, where there is a better world than the embedded one."""
    again = [item for item in items if config.getoption("--once") and _is_again(item)]
    if again and choose(config.stash[FOLDER], _teller(config)).name != "embedded":
        items[:] = [item for item in items if item not in set(again)]
        config.hook.pytest_deselected(items=again)


def _is_again(item: pytest.Item) -> bool:
    alike = item.get_closest_marker("alike") is not None and hasattr(item, "callspec")
    return alike and item.callspec.params.get("world") == "embedded"


def pytest_configure(config: pytest.Config) -> None:
    """Make the run's folder, or take it from the process that makes the workers."""
    given = getattr(config, "workerinput", {}).get("services_folder")
    config.stash[FOLDER] = Path(given) if given else new_folder()
    if not given:
        owner = hold(config.stash[FOLDER] / "owner")

        def leave() -> None:
            end(config.stash[FOLDER])
            owner.close()

        config.add_cleanup(leave)
    # Each client, and each look whether a process is ready, would read the certificates of this system anew: 30 ms.
    once = pytest.MonkeyPatch()
    once.setattr("httpx._transports.default.create_ssl_context", cache(create_ssl_context))
    config.add_cleanup(once.undo)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell an xdist worker where the run's folder is."""
    node.workerinput["services_folder"] = str(node.config.stash[FOLDER])


@pytest.fixture(scope="session")
def services(request: pytest.FixtureRequest) -> Services:
    """The best services that this machine can have; see tests/services/."""
    return _join(request.config, None)


@pytest.fixture(scope="session")
def embedded(request: pytest.FixtureRequest) -> Services:
    """PostgreSQL and Valkey from wheels, as `make up` has them, on every machine."""
    return _join(request.config, "embedded")


@pytest.fixture(scope="session")
def shards(services: Services) -> Iterator[Cluster]:
    """A Redis Cluster of three shards, which every test of this process shares: harm only a `cluster` of your own."""
    with cluster(services) as shared:
        yield shared


@pytest.fixture(scope="session", params=["best", "embedded"])
def world(request: pytest.FixtureRequest) -> Services:
    """Both, one after the other: for what must hold with and without TimescaleDB and RabbitMQ."""
    if request.param == "embedded":
        return request.getfixturevalue("embedded")
    best = request.getfixturevalue("services")
    if best.world.name == "embedded":
        pytest.skip("the best world of this machine is the embedded one, which is tested anyhow")
    return best


def _join(config: pytest.Config, name: str | None) -> Services:
    folder = config.stash[FOLDER]
    attend(folder)
    return join(folder, _teller(config), name)


def _teller(config: pytest.Config) -> Callable[[str], None]:
    """Report progress past pytest's capture, for the first start may take a minute."""
    capture = config.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            click.echo(f"services: {text}", file=sys.stderr)

    return say

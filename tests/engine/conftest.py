"""One real vLLM and one gateway for all of it; skipped, with the reason, where vLLM is not installed."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count

import pytest

from ias.dev.settings import inherited
from ias.dev.vllm import installation, pins, server
from ias.edge import Edge
from tests.engine import rig
from tests.engine.figures import Figures
from tests.engine.rig import Caller, Counters
from tests.integration.gateway.place import Place
from tests.product.processes import Process
from tests.services import Services

MakeCaller = Callable[[], Awaitable[Caller]]
_numbers = count(1)


@pytest.fixture(scope="session")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """The engine; a minute or two passes before it answers."""
    installed = installation.here(inherited())
    if not (installed.has_engine and installed.has_model):
        pytest.skip("vLLM is not installed here: 'nox -s engine' installs it, or says why it cannot")
    with rig.engine(installed, tmp_path_factory.mktemp("vllm")) as process:
        yield process


@pytest.fixture(scope="session")
def place(vllm: Process, services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The gateway in front of it."""
    with rig.place(services, vllm, tmp_path_factory.mktemp("gateway")) as place:
        yield place


@pytest.fixture
def counters(place: Place) -> Counters:
    return Counters(place.engine_url)


@pytest.fixture
async def callers(place: Place) -> AsyncIterator[MakeCaller]:
    """Makes organisations, and closes what they held."""
    made: list[Caller] = []

    async def make() -> Caller:
        made.append(Caller(place, Edge(place.redis.url), number=next(_numbers)))
        await made[-1].edge.load_library()
        return await made[-1].begin()

    yield make
    for caller in made:
        await caller.edge.close()
    for client in place.clients:
        await client.aclose()
    place.clients.clear()


@pytest.fixture
async def caller(callers: MakeCaller) -> Caller:
    """An organisation of the test's own."""
    return await callers()


@pytest.fixture(scope="session")
def figures(request: pytest.FixtureRequest) -> Iterator[Figures]:
    """What was measured; told and kept at the end, where all of it was."""
    release = pins.versions(pins.FILE.read_text().splitlines())[pins.ENGINE]
    found = Figures(engine=f"{pins.ENGINE} {release}", model=server.MODEL)
    yield found
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        found.tell()
    if request.session.testsfailed == 0:
        found.keep()

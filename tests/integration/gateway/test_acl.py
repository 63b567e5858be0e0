"""The rights that docs/redis.md gives are enough, and give no more."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis

from tests.integration.gateway.place import Place, Tenant, place_of
from tests.services import Services
from tests.services.cluster import Cluster, Node
from tests.services.looking import LookingEdge

DOCS = Path(__file__).parents[3] / "docs" / "redis.md"


@dataclass
class Guarded:
    """Servers with the two users, and how each of them reaches these."""

    nodes: list[Node]
    address: str

    @property
    def url(self) -> str:
        return self.address.replace("://", "://gateway:secret@")

    @property
    def books(self) -> str:
        return self.address.replace("://", "://monolith:secret@")


def rules(user: str) -> list[str]:
    found = re.search(rf"```acl {user}\n(.*?)\n```", DOCS.read_text(), re.DOTALL)
    assert found
    return found[1].split()


@contextmanager
def guarded(nodes: list[Node], address: str) -> Iterator[Guarded]:
    for node in nodes:
        for user in ("gateway", "monolith"):
            node.ask("ACL", "SETUSER", user, "reset", *rules(user))
    yield Guarded(nodes, address)
    for node in nodes:
        node.ask("ACL", "DELUSER", "gateway", "monolith")


@pytest.fixture(scope="module", params=["one server", "a cluster"])
def fenced(request: pytest.FixtureRequest, services: Services) -> Iterator[Guarded]:
    if request.param == "a cluster":
        shards: Cluster = request.getfixturevalue("shards")
        with guarded(shards.nodes, shards.url) as made:
            yield made
    else:
        with services.fresh("redis") as one, guarded([Node(one)], one.url) as made:
            yield made


@pytest.fixture(scope="module")
def place(services: Services, fenced: Guarded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place_of(services, tmp_path_factory.mktemp("fenced"), fenced) as place:
        yield place


async def test_they_are_enough_for_all_that_a_gateway_does(
    place: Place, fenced: Guarded, tenants: Callable[[Place], Tenant]
) -> None:
    tenant = tenants(place)
    tenant.edge = LookingEdge(fenced.books)
    await tenant.edge.load_library()
    await tenant.begin()
    await tenant.limit(tokens=10_000, udef=5_000, rps=100, burst=100, tpm=60_000, conc=7)
    first = await tenant.chat(max_tokens=1)
    assert first.status_code == 200, first.text + place.gateway.log.read_text()[-3000:]
    streamed = await tenant.chat("[[mock tokens=40 delay_ms=10]]", stream=True, max_tokens=40)
    assert streamed.content.endswith(b"data: [DONE]\n\n")
    for path in ("/v1/models", "/v1/usage/limits"):
        assert (await place.client.get(path, headers=tenant.headers)).status_code == 200
    await tenant.books_agree(2)
    states = (await place.client.get(f"{place.probes}/ready")).json()["dependencies"]
    assert set(states.values()) == {"ok"}, states
    log = place.gateway.log.read_text()
    assert "NOPERM" not in log
    assert "refused" not in log


@pytest.mark.parametrize(
    "command", ["FUNCTION LIST", "FUNCTION FLUSH", "EVAL return(1) 0", "CONFIG GET *", "FLUSHALL", "KEYS *", "ACL LIST"]
)
def test_a_gateway_loads_no_code_and_manages_nothing(fenced: Guarded, command: str) -> None:
    client = redis.Redis(port=fenced.nodes[0].port, username="gateway", password="secret")
    with client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command.split())

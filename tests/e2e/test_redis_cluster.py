"""The whole product on a Redis Cluster: what is streamed lands in the ledger, and each shard is lost for itself."""

import time
from collections.abc import Iterator

import openai
import pytest

from ias.contract import keys
from tests.e2e.test_constitution import HELLO, eventually
from tests.product import Person, Product, product
from tests.product.people import Org, new_org, register_mock, system_admin
from tests.services import Services
from tests.services.cluster import Cluster, Node, cluster

WITHIN_S = 60.0


@pytest.fixture(scope="module")
def trio(services: Services) -> Iterator[Cluster]:
    with cluster(services) as made:
        yield made


@pytest.fixture(scope="module")
def whole(services: Services, trio: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    settings = {"IAS_LEASE": "3", "IAS_RELAY_TAKEOVER_S": "3", "IAS_RELAY_AGAIN_S": "5"}
    with services.database() as database:
        folder = tmp_path_factory.mktemp("cluster")
        with product(folder, database, trio.url, services.amqp_url, settings) as running:
            yield running


@pytest.fixture(scope="module")
def admin(whole: Product) -> Person:
    person = system_admin(whole)
    register_mock(person)
    return person


@pytest.fixture(scope="module")
def spread(admin: Person, trio: Cluster) -> dict[str, tuple[Org, openai.OpenAI]]:
    """An organisation and its client on each shard, by the shard's name."""
    found: dict[str, tuple[Org, openai.OpenAI]] = {}
    while len(found) < len(trio.masters):
        org = new_org(admin)
        token = org.user.issue_key()["token"]
        tag = keys.tag_of(token.encode())
        assert tag
        found.setdefault(trio.home(tag).name, (org, org.user.openai(token, max_retries=0)))
    return found


def stream(client: openai.OpenAI) -> tuple[str, int]:
    """One streamed completion: its request id, and the tokens that it says it used."""
    answer = client.chat.completions.with_raw_response.create(
        model="mock-gpt", messages=HELLO, max_tokens=20, stream=True, stream_options={"include_usage": True}
    )
    *_, last = list(answer.parse())
    assert last.usage
    return answer.headers["x-request-id"], last.usage.total_tokens


def landed(org: Org, request_id: str, tokens: int) -> bool:
    items = org.admin.get("/ledger/lines", request_id=request_id)["items"]
    return [line["prompt_tokens"] + line["completion_tokens"] for line in items] == [tokens]


def test_a_streamed_completion_lands_in_the_ledger_from_every_shard(
    spread: dict[str, tuple[Org, openai.OpenAI]],
) -> None:
    for org, client in spread.values():
        request_id, tokens = stream(client)
        assert eventually(lambda org=org, seen=(request_id, tokens): landed(org, *seen), WITHIN_S)


def test_a_shard_that_is_away_takes_its_own_organisations_with_it(
    spread: dict[str, tuple[Org, openai.OpenAI]], trio: Cluster
) -> None:
    dead, *others = trio.masters
    dead.service.kill()
    try:
        with pytest.raises(openai.InternalServerError) as refused:
            stream(spread[dead.name][1])
        assert (refused.value.status_code, refused.value.code) == (503, "not_ready")
        assert refused.value.response.headers["retry-after"]
        for node in others:
            org, client = spread[node.name]
            seen = stream(client)
            # Not only the gateway goes on: so do relay, ledger and everything that changes keys.
            assert eventually(lambda org=org, seen=seen: landed(org, *seen), WITHIN_S)
            token = org.user.issue_key()["token"]
            stream(org.user.openai(token, max_retries=0))
    finally:
        dead.service.start()
    org, client = spread[dead.name]
    assert eventually(lambda: serves(client), WITHIN_S)
    seen = stream(client)
    assert eventually(lambda: landed(org, *seen), WITHIN_S)


def test_a_shard_that_was_emptied_is_filled_again_and_the_others_are_left_alone(
    spread: dict[str, tuple[Org, openai.OpenAI]], trio: Cluster
) -> None:
    emptied, *others = trio.masters
    stamps = {node.name: stamp(node, spread) for node in trio.masters}
    emptied.client.flushall()
    began = time.monotonic()
    while not serves(spread[emptied.name][1]):
        assert all(serves(spread[node.name][1]) for node in others)
        assert time.monotonic() - began < WITHIN_S
        time.sleep(0.1)
    assert {node.name: stamp(node, spread) for node in others} == {node.name: stamps[node.name] for node in others}
    assert stamp(emptied, spread) != stamps[emptied.name]


def stamp(node: Node, spread: dict[str, tuple[Org, openai.OpenAI]]) -> object:
    """What changes with each projection of the node's organisation."""
    tag = keys.tag_of(spread[node.name][1].api_key.encode())
    return node.ask("HGET", f"{{o:{tag}}}:v", "stamp")


def serves(client: openai.OpenAI) -> bool:
    """Whether a request is served; all else that may be is a 503."""
    try:
        client.chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=1)
    except openai.InternalServerError as error:
        if error.status_code != 503:
            raise
        return False
    return True

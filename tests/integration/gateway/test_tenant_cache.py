"""Organisations share no prefix cache where their route says so: what one has asked is not found by another."""

from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest

from ias.contract import catalogue
from tests.integration.gateway.place import MODEL, Place, Tenant


@pytest.fixture
def prompt() -> str:
    """Long enough for many blocks of the engine's cache, and never asked before."""
    return uuid4().hex * 40


@pytest.fixture
async def pair(shared: Place, tenants: Callable[[Place], Tenant]) -> tuple[Tenant, Tenant]:
    """Two organisations on one engine."""
    made = tenants(shared), tenants(shared)
    for tenant in made:
        await tenant.edge.load_library()
        await tenant.begin()
        await tenant.project("org", {"id": str(uuid4()), "st": "active"})
    return made


async def cached(tenant: Tenant, prompt: str) -> int:
    """Tokens of a prompt that the engine found in its cache."""
    answer = await tenant.chat(prompt, max_tokens=1)
    assert answer.status_code == 200
    tokens: int = answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"]
    return tokens


async def _ledger(tenant: Tenant, number: int) -> list[int]:
    return [int(line["ca"]) for line in await tenant.lines(number)]


async def test_one_organisation_finds_its_own_prompts_and_never_anothers(
    pair: tuple[Tenant, Tenant], prompt: str
) -> None:
    one, other = pair
    assert await cached(one, prompt) == 0
    found = await cached(one, prompt)
    assert found > 200
    assert await cached(other, prompt) == 0
    assert await cached(other, prompt) == found
    assert await cached(one, prompt) == found
    assert await _ledger(one, 3) == [0, found, found]
    assert await _ledger(other, 2) == [0, found]


async def test_a_route_without_separate_tenants_shares_the_cache(pair: tuple[Tenant, Tenant], prompt: str) -> None:
    for tenant in pair:
        route = catalogue.ModelRoute(
            name="mock-gpt",
            model_id=MODEL,
            upstream_name="mock-gpt",
            replicas=(tenant.place.engine_url,),
            tenant_salt=False,
        )
        await tenant.project("routes", {"mock-gpt": catalogue.encode_route(route)})
    assert await cached(pair[0], prompt) == 0
    assert await cached(pair[1], prompt) > 200


async def test_a_callers_own_salt_is_refused(pair: tuple[Tenant, Tenant], prompt: str) -> None:
    answer: httpx.Response = await pair[0].chat(prompt, cache_salt="that of another")
    assert answer.status_code == 400
    assert "cache_salt" in answer.json()["error"]["message"]

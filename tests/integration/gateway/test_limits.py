"""`/v1/usage/limits` tells what admission goes by."""

from tests.integration.gateway.place import Tenant

PATH = "/v1/usage/limits"


async def told(tenant: Tenant) -> dict[tuple[str, str], dict]:
    answer = await tenant.place.client.get(PATH, headers=tenant.headers)
    assert answer.status_code == 200, answer.text
    return {(limit["kind"], limit["scope"]): limit for limit in answer.json()["data"]}


async def test_every_limit_is_told_for_organisation_and_user(tenant: Tenant) -> None:
    await tenant.limit(tokens=10_000, udef=5_000, rps=10, burst=10, tpm=60_000, conc=7)
    used = (await tenant.chat(max_tokens=5)).json()["usage"]["total_tokens"]
    await tenant.lines()
    limits = await told(tenant)
    assert len(limits) == 8
    budget = limits["budget", "organisation"]
    assert (budget["limit"], budget["used"], budget["held"], budget["remaining"]) == (10_000, used, 0, 10_000 - used)
    assert budget["resets_at"].endswith("-01T00:00:00Z")
    assert limits["budget", "user"]["remaining"] == 5_000 - used
    assert limits["requests", "organisation"]["used"] in {0, 1}
    assert limits["requests", "user"]["limit"] is None
    assert limits["concurrency", "organisation"] == {
        "scope": "organisation",
        "kind": "concurrency",
        "unit": "requests at once",
        "limit": 7,
        "used": 0,
        "held": 0,
        "remaining": 7,
        "resets_at": limits["concurrency", "organisation"]["resets_at"],
    }


async def test_the_headers_of_an_answer_agree_with_the_limits(tenant: Tenant) -> None:
    await tenant.limit(rps=1, burst=5)
    headers = (await tenant.chat(max_tokens=1)).headers
    request = (await told(tenant))["requests", "organisation"]
    assert int(headers["x-ratelimit-limit-requests"]) == request["limit"]
    assert 5 - request["used"] in {int(headers["x-ratelimit-remaining-requests"]), 5}


async def test_without_a_good_key_nothing_is_told(tenant: Tenant) -> None:
    assert (await tenant.place.client.get(PATH)).status_code == 401
    await tenant.edge.revoke(tenant.tag, tenant.record, 2)
    assert (await tenant.place.client.get(PATH, headers=tenant.headers)).status_code == 401

"""Requests as clients make them: what they get, what is refused, and that the books agree."""

import asyncio

import httpx
import msgspec
import openai
import pytest

from ias.contract import admission, keys
from tests.integration.gateway.place import CHAT, USER, Tenant, tokens_told

HELLO = [{"role": "user", "content": "hello"}]


def error_of(answer: httpx.Response) -> dict[str, str]:
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert answer.headers["x-request-id"]
    return error


async def test_a_whole_answer_is_the_engines_and_is_settled(tenant: Tenant) -> None:
    answer = await tenant.chat("hello", max_tokens=5)
    assert answer.status_code == 200
    assert answer.json()["usage"]["completion_tokens"] == 5
    (line,) = await tenant.books_agree()
    assert (line["r"], line["o"], line["e"], line["b"]) == (answer.headers["x-request-id"], "completed", "0", "0")


@pytest.mark.parametrize("delay", [0, 3])
@pytest.mark.parametrize(
    "options", [None, {"include_usage": True}, {"include_usage": True, "continuous_usage_stats": True}]
)
async def test_a_stream_is_the_engines_less_the_usage_that_was_not_asked_for(
    tenant: Tenant, options: dict | None, delay: int
) -> None:
    body = tenant.body(f"[[mock tokens=9 delay_ms={delay}]]", stream=True, stream_options=options)
    through = await tenant.place.client.post(CHAT, json=body, headers=tenant.headers)
    everything = {"include_usage": True, "continuous_usage_stats": True}
    async with httpx.AsyncClient() as client:
        identity = {"x-request-id": through.headers["x-request-id"]}
        url = f"{tenant.place.engine_url}{CHAT}"
        direct = await client.post(url, json={**body, "stream_options": everything}, headers=identity)
    wanted = options or {}
    assert _events(through.content) == [
        event for event in (_less_usage(event, wanted) for event in _events(direct.content)) if event is not None
    ]
    assert through.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert through.headers["x-accel-buffering"] == "no"
    lines = await tenant.lines()
    assert (lines[0]["ct"], lines[0]["o"]) == ("9", "completed")


def _events(stream: bytes) -> list[dict | str]:
    """The events without the time at which they were made; `[DONE]` as it is."""
    events: list[dict | str] = []
    for event in stream.removesuffix(b"\n\n").split(b"\n\n"):
        data = event.removeprefix(b"data: ")
        events.append("[DONE]" if data == b"[DONE]" else {**msgspec.json.decode(data), "created": 0})
    return events


def _less_usage(event: dict | str, wanted: dict) -> dict | str | None:
    if isinstance(event, str) or wanted.get("continuous_usage_stats"):
        return event
    if not event["choices"]:
        return event if wanted.get("include_usage") else None
    return {name: value for name, value in event.items() if name != "usage"}


async def test_openais_client_needs_base_url_and_key_alone(tenant: Tenant) -> None:
    async with openai.AsyncOpenAI(base_url=f"{tenant.place.url}/v1", api_key=tenant.token) as client:
        assert [model.id async for model in client.models.list()] == ["mock-embed", "mock-gpt"]
        assert (await client.models.retrieve("mock-gpt")).id == "mock-gpt"
        whole = await client.chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=3)
        assert whole.usage.completion_tokens == 3
        text = await client.completions.create(model="mock-gpt", prompt=["a", "b"], max_tokens=2)
        assert len(text.choices) == 2
        vectors = await client.embeddings.create(model="mock-embed", input="hello", encoding_format="float")
        assert vectors.data[0].embedding
        stream = await client.chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=3, stream=True)
        assert len([chunk async for chunk in stream]) == 4
    await tenant.books_agree(4)


@pytest.mark.parametrize("header", [None, "Bearer nonsense", "Basic abc"])
async def test_without_a_good_key_it_is_a_401(tenant: Tenant, header: str | None) -> None:
    headers = {"authorization": header} if header else {}
    answer = await tenant.place.client.post(CHAT, json=tenant.body(), headers=headers)
    assert (answer.status_code, error_of(answer)["code"]) == (401, "invalid_api_key")


async def test_an_unknown_or_revoked_key_is_a_401(tenant: Tenant) -> None:
    for token in (keys.mint(tenant.tag), keys.mint(keys.new_tag())):
        headers = {"authorization": f"Bearer {token}"}
        assert (await tenant.place.client.post(CHAT, json=tenant.body(), headers=headers)).status_code == 401
        assert (await tenant.place.client.get("/v1/models", headers=headers)).status_code == 401
    await tenant.edge.revoke(tenant.tag, tenant.record, 2)
    assert (await tenant.chat()).status_code == 401


async def test_a_revoked_keys_open_stream_is_cut_and_settled(tenant: Tenant) -> None:
    body = tenant.body("[[mock tokens=2000 delay_ms=10]]", stream=True, max_tokens=2000)
    async with tenant.place.client.stream("POST", CHAT, json=body, headers=tenant.headers) as answer:
        parts = answer.aiter_bytes()
        await anext(parts)
        await tenant.edge.revoke(tenant.tag, tenant.record, 2)
        rest = b"".join([part async for part in parts])
    assert b'"access_withdrawn"' in rest
    assert b"[DONE]" not in rest
    (line,) = await tenant.lines()
    assert line["o"] == "cut"


async def test_a_suspended_organisation_is_a_403(tenant: Tenant) -> None:
    await tenant.project("org", {"id": "o", "st": "suspended"})
    answer = await tenant.chat()
    assert (answer.status_code, error_of(answer)["type"]) == (403, "permission_error")


async def test_an_unknown_model_is_a_404_that_names_those_that_may_be_used(tenant: Tenant) -> None:
    answer = await tenant.place.client.post(CHAT, json={**tenant.body(), "model": "gpt"}, headers=tenant.headers)
    assert (answer.status_code, error_of(answer)["code"]) == (404, "model_not_found")
    assert "mock-gpt" in error_of(answer)["message"]
    assert (await tenant.place.client.get("/v1/models/gpt", headers=tenant.headers)).status_code == 404


async def test_a_bad_field_is_a_400_that_names_it(tenant: Tenant) -> None:
    answer = await tenant.chat(priority=1)
    assert (answer.status_code, error_of(answer)["param"]) == (400, "priority")


async def test_a_spent_budget_is_a_429_that_is_not_retried(tenant: Tenant) -> None:
    await tenant.limit(tokens=5)
    async with openai.AsyncOpenAI(base_url=f"{tenant.place.url}/v1", api_key=tenant.token) as client:
        with pytest.raises(openai.RateLimitError) as over:
            await client.chat.completions.create(model="mock-gpt", messages=HELLO)
    assert over.value.code == "insufficient_quota"
    assert over.value.response.headers["x-should-retry"] == "false"


async def test_a_rate_is_a_429_that_openais_client_waits_for(tenant: Tenant) -> None:
    await tenant.limit(rps=4, burst=4)
    async with openai.AsyncOpenAI(base_url=f"{tenant.place.url}/v1", api_key=tenant.token) as client:
        ask = [client.chat.completions.create(model="mock-gpt", messages=HELLO, max_tokens=1) for _ in range(6)]
        assert len(await asyncio.gather(*ask)) == 6
    await tenant.limit(rps=1, burst=1)
    # So many at once that some are refused, however slowly they come through.
    answers = await asyncio.gather(*(tenant.chat() for _ in range(12)))
    refused = [answer.headers for answer in answers if answer.status_code == 429]
    assert refused
    assert all(0 < int(headers["retry-after-ms"]) <= 1000 for headers in refused)
    assert {headers["x-ratelimit-remaining-requests"] for headers in refused} == {"0"}


async def test_limits_are_in_the_headers_of_a_good_answer(tenant: Tenant) -> None:
    await tenant.limit(rps=10, burst=10, tpm=100_000)
    headers = (await tenant.chat(max_tokens=1)).headers
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("10", "9")
    assert headers["x-ratelimit-reset-requests"] == "100ms"
    assert int(headers["x-ratelimit-remaining-tokens"]) < 100_000


async def test_near_the_end_of_a_budget_the_answer_is_shorter_and_the_budget_holds(tenant: Tenant) -> None:
    await tenant.limit(tokens=60)
    answer = await tenant.chat("[[mock tokens=500]]", max_tokens=400)
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["finish_reason"] == "length"
    standing = await tenant.edge.standing(tenant.tag, USER)
    assert int(standing[2]) <= 60


async def test_tenants_share_no_prefix_cache(tenant: Tenant) -> None:
    text = "the same long prompt for everybody " * 20
    await tenant.chat(text)
    again = (await tenant.chat(text)).json()["usage"]["prompt_tokens_details"]["cached_tokens"]
    assert again > 0
    assert again % 16 == 0
    lines = await tenant.lines(2)
    assert lines[1]["ca"] == str(again)
    salts = {entry["salt"] for entry in (await tenant.place.oracle()).values() if entry["request_id"] == lines[0]["r"]}
    assert all(len(salt) == 64 for salt in salts)


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/metrics", "/invocations", "/v1/chat/completions/", "/health", "/v1/load"]
)
async def test_what_is_not_on_the_list_is_a_404(tenant: Tenant, path: str) -> None:
    answer = await tenant.place.client.post(path, json={}, headers=tenant.headers)
    assert answer.status_code == 404
    assert "/v1" in answer.json()["error"]["message"]
    assert answer.headers["x-request-id"]


async def test_a_wrong_method_is_a_405(tenant: Tenant) -> None:
    answer = await tenant.place.client.get(CHAT, headers=tenant.headers)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["x-request-id"]


async def test_a_client_that_leaves_stops_the_engine_and_pays_what_was_written(tenant: Tenant) -> None:
    body = tenant.body("[[mock tokens=3000 delay_ms=5]]", stream=True, max_tokens=3000)
    async with tenant.place.client.stream("POST", CHAT, json=body, headers=tenant.headers) as answer:
        async for part in answer.aiter_bytes():
            got = tokens_told(part)
            break
    (line,) = await tenant.lines()
    assert line["o"] == "client_aborted"
    written = await tenant.place.wrote(line["r"])
    assert written["outcome"] == "aborted"
    wrote = written["completion_tokens"]
    assert got <= int(line["ct"]) <= wrote < 3000


async def test_requests_on_one_connection_are_answered_in_order(tenant: Tenant) -> None:
    url = httpx.URL(tenant.place.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    for tokens in (3, 1, 2):
        raw = httpx.Request("POST", url.join(CHAT), json=tenant.body(max_tokens=tokens), headers=tenant.headers)
        head = "".join(f"{name}: {value}\r\n" for name, value in raw.headers.items())
        writer.write(f"POST {CHAT} HTTP/1.1\r\n{head}\r\n".encode() + raw.content)
    told = b""
    while told.count(b"kv_transfer_params") < 3:
        told += await asyncio.wait_for(reader.read(65_536), 30)
    writer.close()
    places = [told.index(b'"completion_tokens":%d' % tokens) for tokens in (3, 1, 2)]
    assert places == sorted(places)


async def test_connections_to_the_engine_are_kept(tenant: Tenant) -> None:
    for _ in range(20):
        await tenant.chat(max_tokens=1)
    assert tenant.place.engine.child
    opened = [c for c in _connections(tenant.place.gateway.child.pid) if c == httpx.URL(tenant.place.engine_url).port]
    assert 1 <= len(opened) <= 30


def _connections(pid: int) -> list[int]:
    import psutil  # noqa: PLC0415 - only here

    return [each.raddr.port for each in psutil.Process(pid).net_connections("tcp") if each.status == "ESTABLISHED"]


async def test_the_slot_of_another_organisation_is_never_touched(tenant: Tenant) -> None:
    await tenant.chat(max_tokens=1)
    named = {key.decode() async for key in tenant.edge.redis.scan_iter(f"{admission.slot(tenant.tag)}:*")}
    assert named
    assert all(key.startswith(admission.slot(tenant.tag)) for key in named)


async def test_several_choices_are_paid_for_when_the_client_leaves_half_way(tenant: Tenant) -> None:
    body = tenant.body("[[mock tokens=400 delay_ms=5]]", stream=True, max_tokens=400, n=3)
    async with tenant.place.client.stream("POST", CHAT, json=body, headers=tenant.headers) as answer:
        parts = answer.aiter_bytes()
        got = tokens_told(b"".join([await anext(parts) for _ in range(30)]))
    (line,) = await tenant.lines()
    written = await tenant.place.wrote(line["r"])
    assert written["outcome"] == "aborted"
    wrote = written["completion_tokens"]
    assert 20 < got <= int(line["ct"]) <= wrote < 3 * 400

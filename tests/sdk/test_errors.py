"""Every row of the table of errors, with both SDKs: what they make of it, and how often they send the request.

All rows are brought about at once, for SDKs wait seconds between two sends; a tape counts what reaches the gateway.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from ias.edge import Edge
from tests.integration.gateway.place import Place, Tenant, connected, environment, place_of
from tests.product.processes import BIN, Process
from tests.sdk import nodejs, schema
from tests.sdk.models import allow
from tests.sdk.rows import ROWS, Gateway, Row, occupied
from tests.sdk.tape import Request, Tape, tape_of
from tests.services import Services, free_port

LANGUAGES = ("python", "node")
PACED_CALLS = 3
_NAMES = [row.name for row in ROWS]
_CLOCKS_S = 0.02
"""A timer may fire so much early."""


@dataclass
class Told:
    """What both languages' SDKs said of each case, or why one of them did not run; and what they sent."""

    facts: Mapping[str, Mapping[str, Any] | str]
    tapes: tuple[Tape, ...]

    def of(self, language: str, name: str) -> tuple[dict[str, Any], list[Request]]:
        facts = self.facts[language]
        if isinstance(facts, str):
            pytest.skip(facts)
        assert "error" not in facts[name], facts[name]["error"]
        return facts[name]["result"], [one for tape in self.tapes for one in tape.sent(f"{language}: {name}")]


def further(place: Place, folder: Path, name: str, **settings: str) -> tuple[Process, str]:
    """One more gateway on a place's Redis, or as the settings say, not started; and its address."""
    ports = (free_port(), free_port())
    env = environment(place.redis, ports, **settings)
    probe, tells = ("ready", _listens) if "IAS_REDIS_URL" in settings else ("metrics", connected)
    url = f"http://127.0.0.1:{ports[1]}/{probe}"
    gateway = Process(name, (str(BIN / "ias-gateway"),), env, folder, url, tells=tells)
    return gateway, f"http://127.0.0.1:{ports[0]}"


def _listens(answer: httpx.Response) -> bool:
    """Whether a gateway that is not ready takes requests, to refuse them."""
    return bool(answer.json()["dependencies"]["process"] == "ok")


@pytest.fixture(scope="module")
def impatient(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A gateway that does not wait long for a first token."""
    with place_of(services, tmp_path_factory.mktemp("rows"), IAS_FIRST_TOKEN_TIMEOUT="3") as place:
        yield place


@pytest.fixture(scope="module")
def gateways(impatient: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[Gateway, str]]:
    """Three gateways: a usual one, one without Redis, and one that takes a single request."""
    folder = tmp_path_factory.mktemp("gateways")
    nowhere = f"redis://127.0.0.1:{free_port()}/0"
    blind, blind_url = further(impatient, folder, "blind", IAS_REDIS_URL=nowhere)
    full, full_url = further(impatient, folder, "full", IAS_MAX_STREAMS="1")
    try:
        for gateway in (blind, full):
            gateway.start()
        for gateway in (blind, full):
            gateway.wait_ready()
        yield {"usual": impatient.url, "blind": blind_url, "full": full_url}
    finally:
        for gateway in (blind, full):
            gateway.end()


@pytest.fixture(scope="module")
async def told(
    impatient: Place, gateways: dict[Gateway, str], clients: tuple[openai.AsyncOpenAI, openai.OpenAI]
) -> AsyncIterator[Told]:
    """Every row, brought about for both languages at once, each for an organisation of its own."""
    edge = Edge(impatient.redis.url)
    await edge.load_library()
    async with AsyncExitStack() as stack:
        tapes = {name: await stack.enter_async_context(tape_of(url)) for name, url in gateways.items()}
        await stack.enter_async_context(occupied(await _tenant(impatient, edge), gateways["full"]))
        orders = {language: await _order((impatient, edge), tapes, stack) for language in LANGUAGES}
        python, node = await asyncio.gather(_python(clients[0], orders["python"]), _node(orders["node"]))
        yield Told({"python": python, "node": node}, tuple(tapes.values()))
    await edge.close()


async def _tenant(place: Place, edge: Edge) -> Tenant:
    tenant = await Tenant(place, edge).begin()
    await allow(tenant)
    return tenant


async def _order(where: tuple[Place, Edge], tapes: Mapping[Gateway, Tape], stack: AsyncExitStack) -> dict[str, Any]:
    """What a language is to do: a row each for an organisation of its own, and calls at the pace of one a second."""
    rows = []
    for row in ROWS:
        tenant = await _tenant(*where)
        await row.prepare(tenant)
        if row.busy:
            await stack.enter_async_context(occupied(tenant, tenant.place.url))
        token = row.token() if row.token else tenant.token
        rows.append({"name": row.name, "url": f"{tapes[row.gateway].url}/v1", "token": token, "body": row.asked()})
    paced = await _tenant(*where)
    await paced.limit(rps=1, burst=1)
    pace = {"name": "pace", "url": f"{tapes['usual'].url}/v1", "token": paced.token, "body": paced.body(max_tokens=1)}
    return {"rows": rows, "paced": [{**pace, "calls": PACED_CALLS}]}


async def _node(order: dict[str, Any]) -> dict[str, Any] | str:
    """What Node's SDK makes of them, or why it cannot be had."""
    try:
        return await nodejs.run("rows.js", {**order, "language": "node"})
    except nodejs.NoNode as absent:
        return str(absent)


async def _python(client: openai.AsyncOpenAI, order: dict[str, Any]) -> dict[str, Any]:
    """What Python's SDK makes of them."""
    cases = {row["name"]: _fail(_of(client, row), row["body"]) for row in order["rows"]}
    cases |= {pace["name"]: _keep_pace(_of(client, pace), pace) for pace in order["paced"]}
    facts = await asyncio.gather(*cases.values(), return_exceptions=True)
    return {
        name: {"error": repr(fact)} if isinstance(fact, BaseException) else {"result": fact}
        for name, fact in zip(cases, facts, strict=True)
    }


def _of(client: openai.AsyncOpenAI, case: Mapping[str, Any]) -> openai.AsyncOpenAI:
    headers = {"x-case": f"python: {case['name']}"}
    return client.with_options(base_url=case["url"], api_key=case["token"], default_headers=headers)


async def _fail(client: openai.AsyncOpenAI, body: Mapping[str, Any]) -> dict[str, Any]:
    known = {name: value for name, value in body.items() if name != "priority"}
    foreign = {name: value for name, value in body.items() if name == "priority"}
    try:
        answer = await client.chat.completions.create(**known, extra_body=foreign)
        if isinstance(answer, openai.AsyncStream):
            async for _ in answer:
                pass
    except openai.APIError as error:
        status = getattr(error, "status_code", None)
        facts = {"code": error.code, "type": error.type, "param": error.param, "message": error.message}
        return {**facts, "class": type(error).__name__, "status": status, "id": getattr(error, "request_id", None)}
    raise AssertionError("it did not fail")


async def _keep_pace(client: openai.AsyncOpenAI, case: Mapping[str, Any]) -> None:
    for _ in range(case["calls"]):
        await client.chat.completions.create(**case["body"])


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("row", ROWS, ids=_NAMES)
def test_the_sdk_knows_the_error_for_what_it_is(told: Told, language: str, row: Row) -> None:
    facts, sent = told.of(language, row.name)
    assert (facts["class"], facts["type"], facts["code"], facts["param"]) == (row.error, row.kind, row.code, row.param)
    assert [request.status for request in sent] == [row.status] * len(sent)
    if row.status != 200:
        assert facts["status"] == row.status
        assert facts["id"] == sent[-1].answer_headers["x-request-id"]
        assert schema.check_all(sent) == len(sent)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("row", ROWS, ids=_NAMES)
def test_the_sdk_sends_the_request_as_often_as_it_should(told: Told, language: str, row: Row) -> None:
    _, sent = told.of(language, row.name)
    assert len(sent) == row.sends
    assert [request.headers["x-stainless-retry-count"] for request in sent] == [str(n) for n in range(row.sends)]


@pytest.mark.parametrize("row", ROWS, ids=_NAMES)
def test_the_answer_says_whether_and_when_to_come_back(told: Told, row: Row) -> None:
    _, sent = told.of("python", row.name)
    for request in sent:
        assert row.headers <= set(request.answer_headers)
        assert request.answer_headers["x-request-id"]
        assert request.answer_headers.get("x-should-retry", "false") == "false"
        assert ("x-should-retry" in request.answer_headers) == ("x-should-retry" in row.headers)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("row", [row for row in ROWS if row.sends > 1], ids=lambda row: row.name)
def test_the_sdk_waits_as_long_as_it_is_told(told: Told, language: str, row: Row) -> None:
    _, sent = told.of(language, row.name)
    assert _waits(sent) == len(sent) - 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_calls_above_the_rate_are_waited_for_and_succeed(told: Told, language: str) -> None:
    _, sent = told.of(language, "pace")
    assert [request.status for request in sent if request.status != 429] == [200] * PACED_CALLS
    refused = [request for request in sent if request.status == 429]
    assert refused
    assert all(0 < int(request.answer_headers["retry-after-ms"]) <= 1000 for request in refused)
    assert all(request.answer_headers["x-ratelimit-remaining-requests"] == "0" for request in refused)
    assert _waits(sent) == len(sent) - 1


def _waits(sent: list[Request]) -> int:
    """How many sends there are after the first one, each no earlier than the answer before it allowed."""
    for before, after in pairwise(sent):
        told_ms = int(before.answer_headers.get("retry-after-ms", "0"))
        assert after.sent_at - before.answered_at >= told_ms / 1000 - _CLOCKS_S
    return len(sent) - 1

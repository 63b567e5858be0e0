"""A gateway that is asked to try a route tells what each replica did, whatever that is, and says that it lives."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from uuid import uuid4

import msgspec
import pytest

from ias.contract import beats, trials
from ias.contract.admission import LIBRARY_VERSION
from ias.contract.beats import Beat
from ias.contract.catalogue import ModelRoute
from ias.contract.trials import WITHIN_S, Replica, Told, Trial
from ias.edge import Edge
from tests.integration.gateway.place import Place, Tenant, eventually
from tests.integration.gateway.raw_engine import Call, raw_engine, whole
from tests.services import free_port

MODELS = b'{"object":"list","data":[{"id":"mock-gpt","max_model_len":4096}]}'
USED = b'{"choices":[],"usage":{"prompt_tokens":5,"total_tokens":6,"completion_tokens":1,"prompt_tokens_details":%b}}'


@pytest.fixture
async def edge(shared: Place) -> AsyncIterator[Edge]:
    made = Edge(shared.redis.url)
    yield made
    await made.close()


async def asked(edge: Edge, *replicas: str, upstream: str = "mock-gpt") -> Told:
    """What a gateway tells of these."""
    trial = Trial(str(uuid4()), ModelRoute(name="m", model_id="m", upstream_name=upstream, replicas=replicas))
    found: list[Told] = []

    async def room() -> bool:
        return bool(await edge.call(trials.ask(trial)))

    async def told() -> bool:
        found.extend(filter(None, [trials.read_told(await edge.call(trials.listen(trial.id)))]))
        return bool(found)

    await eventually(room)
    try:
        await eventually(told, within=WITHIN_S * 4)
    finally:
        await edge.call(trials.withdraw())
    return found[0]


async def one(edge: Edge, replica: str, upstream: str = "mock-gpt") -> Replica:
    (found,) = (await asked(edge, replica, upstream=upstream)).replicas
    return found


async def test_a_healthy_replica_answers_all_that_is_tried(shared: Place, edge: Edge) -> None:
    found = await one(edge, shared.engine_url)
    assert (found.health.status, found.models.status, found.call.tried.status) == (200, 200, 200)
    assert found.served["mock-gpt"] > 0
    assert (found.call.path, found.call.request_id, found.call.usage) == ("/v1/chat/completions", True, True)
    assert found.call.details
    assert found.call.prompt_tokens > 0
    assert found.call.completion_tokens == 1
    assert found.call.tried.ms > 0


@pytest.mark.parametrize(
    ("upstream", "path"), [("mock-embed", "/v1/embeddings"), ("mock-rerank", "/v1/rerank")], ids=["embeds", "ranks"]
)
async def test_a_model_that_does_not_chat_is_asked_for_what_it_does(
    shared: Place, edge: Edge, upstream: str, path: str
) -> None:
    call = (await one(edge, shared.engine_url, upstream)).call
    assert (call.path, call.tried.status, call.usage, call.completion_tokens) == (path, 200, True, 0)


async def test_a_name_that_the_engine_does_not_have_is_not_called_well(shared: Place, edge: Edge) -> None:
    found = await one(edge, shared.engine_url, "no-such-model")
    assert "mock-gpt" in found.served
    assert "no-such-model" not in found.served
    assert (found.call.path, found.call.tried.status) == ("/v1/chat/completions", 404)


async def test_an_engine_without_details_and_request_ids_is_told_apart(edge: Edge) -> None:
    async def plain(call: Call) -> None:
        await call.send(whole(MODELS if call.path == "/v1/models" else USED % b"null"))

    async with raw_engine(plain) as engine:
        found = await one(edge, engine.url)
    assert found.served == {"mock-gpt": 4096}
    assert (found.call.usage, found.call.details, found.call.request_id) == (True, False, False)
    assert (found.call.prompt_tokens, found.call.completion_tokens) == (5, 1)


async def test_nothing_is_sent_but_what_a_clients_request_would_be(edge: Edge) -> None:
    async def plain(call: Call) -> None:
        await call.send(whole(MODELS if call.path == "/v1/models" else USED % b"{}"))

    async with raw_engine(plain) as engine:
        await one(edge, engine.url)
        chats = [call for call in engine.calls if call.path == "/v1/chat/completions"]
    (chat,) = chats
    assert chat.body == {"model": "mock-gpt", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    assert b"authorization" not in chat.head.lower()


async def test_a_port_where_nobody_listens_is_refused(edge: Edge) -> None:
    found = await one(edge, f"http://127.0.0.1:{free_port()}")
    assert [tried.status for tried in (found.health, found.models, found.call.tried)] == [0, 0, 0]
    assert "refused" in found.health.why.lower()


async def test_an_address_that_gateways_may_not_reach_is_not_reached(edge: Edge) -> None:
    found = await one(edge, "http://169.254.169.254")
    assert "IAS_UPSTREAM_ALLOW" in found.health.why
    assert found.call.tried.status == 0


async def test_an_engine_that_hangs_is_waited_for_only_so_long_and_holds_up_no_other(shared: Place, edge: Edge) -> None:
    async def mute(call: Call) -> None:
        await call.until_left()

    async with raw_engine(mute) as engine:
        hanging, well = (await asked(edge, engine.url, shared.engine_url)).replicas
        async with asyncio.timeout(20):
            for call in engine.calls:
                await call.left.wait()
    assert hanging.health.status == 200
    assert "no answer within" in hanging.call.tried.why
    assert well.call.tried.status == 200


async def test_a_redirect_is_told_and_not_followed(shared: Place, edge: Edge) -> None:
    async def elsewhere(call: Call) -> None:
        at = f"{shared.engine_url}{call.path}".encode()
        await call.send(b"HTTP/1.1 307 Temporary Redirect\r\nlocation: %b\r\ncontent-length: 0\r\n\r\n" % at)

    before = len(await shared.oracle())
    async with raw_engine(elsewhere) as engine:
        found = await one(edge, engine.url)
    assert (found.models.status, found.call.tried.status, found.served) == (307, 307, {})
    assert len(await shared.oracle()) == before


async def test_an_answer_of_5_mb_is_cut_off_and_nothing_of_it_is_told(edge: Edge) -> None:
    async def endless(call: Call) -> None:
        await call.send(whole(b'"a secret of the engine"' * 220_000))

    async with raw_engine(endless) as engine:
        found = await one(edge, engine.url)
    assert "longer than" in found.models.why
    assert "longer than" in found.call.tried.why
    assert b"secret" not in msgspec.json.encode(found)


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9.2\r\n", whole(b"<html>a secret"), whole(b'{"data":[{"id":7}]}'), whole(b"\xff")]
)
async def test_what_is_no_engines_answer_is_told_in_our_words(edge: Edge, answer: bytes) -> None:
    async def strange(call: Call) -> None:
        await call.send(answer)
        call.close()

    async with raw_engine(strange) as engine:
        found = await one(edge, engine.url)
    assert found.models.why
    assert found.served == {}
    assert b"secret" not in msgspec.json.encode(found)


async def test_headers_without_an_end_are_cut_off(edge: Edge) -> None:
    async def endless(call: Call) -> None:
        await call.send(b"HTTP/1.1 200 OK\r\n" + b"x-filler: a secret of the engine\r\n" * 150_000)

    async with raw_engine(endless) as engine:
        found = await one(edge, engine.url)
    assert "longer than" in found.models.why


@pytest.mark.parametrize("pause", [0.0, 0.05], ids=["at once", "one by one"])
async def test_an_answer_that_is_announced_is_waited_for(edge: Edge, pause: float) -> None:
    async def polite(call: Call) -> None:
        hints = b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\nx-request-id: none\r\n\r\n"
        answer = whole(MODELS if call.path == "/v1/models" else USED % b"{}")
        first = (b"HTTP/1.1 100 Continue\r\n\r\n", hints, answer[:20], answer[20:])
        await call.send(*(first if pause else (b"".join(first),)), pause=pause)

    async with raw_engine(polite) as engine:
        found = await one(edge, engine.url)
    assert (found.models.status, found.served) == (200, {"mock-gpt": 4096})
    assert (found.call.tried.status, found.call.usage, found.call.request_id) == (200, True, False)


async def beat_of(edge: Edge, name: str) -> Beat | None:
    return next((beat for beat in beats.read_beats(await edge.call(beats.BEATS)) if beat.name == name), None)


async def test_a_gateway_says_that_it_lives_until_it_stops(lone: Tenant) -> None:
    (beat,) = await first_beats(lone.edge)
    assert (beat.state, beat.library, beat.open, beat.spooled) == ("serves", LIBRARY_VERSION, 0, 0)
    assert beat.lives(time.time())
    lone.place.gateway.end()
    last = await beat_of(lone.edge, beat.name)
    assert last is not None
    assert last.state == "stopped"
    assert not last.lives(time.time())


async def test_a_gateway_that_drains_says_so(lone: Tenant) -> None:
    (beat,) = await first_beats(lone.edge)
    body = lone.body("[[mock tokens=60 delay_ms=100]]", stream=True, max_tokens=60)
    async with lone.place.client.stream("POST", "/v1/chat/completions", json=body, headers=lone.headers) as answer:
        parts = answer.aiter_bytes()
        await anext(parts)
        lone.place.gateway.signal(signal.SIGTERM)

        async def drains() -> bool:
            said = await beat_of(lone.edge, beat.name)
            return said is not None and said.state == "drains" and said.open == 1

        await eventually(drains)


async def first_beats(edge: Edge) -> list[Beat]:
    """What the gateways say, once one does."""
    found: list[Beat] = []

    async def some() -> bool:
        found[:] = beats.read_beats(await edge.call(beats.BEATS))
        return bool(found)

    await eventually(some)
    return found

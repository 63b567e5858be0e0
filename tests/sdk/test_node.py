"""What the Node SDK gets, route by route: `node/surface.js` runs all cases, and each is judged here."""

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from ias.edge import Edge
from tests.integration.gateway.place import Place, Tenant, eventually
from tests.sdk import nodejs, schema
from tests.sdk.models import MODELS, allow
from tests.sdk.sounds import silence
from tests.sdk.tape import Tape, tape_of

LANDMARK = {"name": str, "height": int, "climbed": bool}
CALLS = [["weather", '{"place":"the one","days":7}'], ["forecast", '{"place":"the one","days":7}']]


@dataclass
class Surface:
    """What the cases reported, and what went through."""

    reports: dict[str, dict[str, Any]]
    tape: Tape
    tenant: Tenant

    def __getitem__(self, case: str) -> Any:
        report = self.reports[case]
        assert "error" not in report, report["error"]
        return report["result"]

    async def given_up(self, case: str) -> tuple[int, int]:
        """Tokens settled and tokens written for a case whose only request was given up."""
        (request,) = self.tape.sent(case)
        name = request.answer_headers["x-request-id"]

        async def settled() -> bool:
            return name in await self._lines() and (await self.tenant.place.oracle()).get(name, {}).get("outcome")

        await eventually(settled)
        line, wrote = (await self._lines())[name], (await self.tenant.place.oracle())[name]
        assert (line["o"], wrote["outcome"]) == ("client_aborted", "aborted")
        return int(line["ct"]), wrote["completion_tokens"]

    async def _lines(self) -> dict[str, dict[str, str]]:
        return {line["r"]: line for line in await self.tenant.lines()}


@pytest.fixture(scope="module")
async def surface(place: Place) -> AsyncIterator[Surface]:
    """All cases, run once."""
    edge = Edge(place.redis.url)
    await edge.load_library()
    tenant = await Tenant(place, edge).begin()
    await allow(tenant)
    await tenant.limit(rps=1000, burst=1000, tpm=100_000_000)
    async with tape_of(place.url) as tape:
        told = {"url": tape.url, "token": tenant.token, "sound": base64.b64encode(silence()).decode()}
        try:
            reports = await nodejs.run("surface.js", told)
        except nodejs.NoNode as error:
            pytest.skip(str(error))
        yield Surface(reports, tape, tenant)
    await edge.close()


def test_every_answer_fits_openais_types(surface: Surface) -> None:
    assert schema.check_all(surface.tape.requests) > 30


def test_a_chat(surface: Surface) -> None:
    chat = surface["chat"]
    assert chat["text"]
    assert (chat["finish"], chat["usage"]["completion_tokens"]) == ("stop", 6)
    (request,) = surface.tape.sent("chat")
    assert chat["id"] == request.answer_headers["x-request-id"]


def test_a_stream_is_the_whole_answer_and_tells_its_usage_where_asked(surface: Surface) -> None:
    stream = surface["stream"]
    assert stream["whole"] == stream["streamed"]
    assert stream["usages"] == [0, 1]
    assert stream["last"]["choices"] == []
    assert stream["last"]["usage"]["completion_tokens"] == 9


def test_the_stream_helper_adds_up_to_the_whole_answer(surface: Surface) -> None:
    helper = surface["helper"]
    assert len(helper["pieces"]) > 1
    assert "".join(helper["pieces"]) == helper["final"] == helper["whole"]


def test_an_answer_is_parsed_by_a_zod_schema(surface: Surface) -> None:
    for parsed in surface["parse"].values():
        assert {name: type(value) for name, value in parsed.items()} == LANDMARK


def test_an_answer_that_was_cut_short_is_told_apart_from_one_that_is_wrong(surface: Surface) -> None:
    assert surface["cutShort"]["class"] == "LengthFinishReasonError"


def test_several_tools_are_called_at_once_and_their_answers_are_taken(surface: Surface) -> None:
    tools = surface["tools"]
    assert tools["whole"] == tools["streamed"] == [*CALLS, CALLS[0]]
    assert tools["finish"] == "tool_calls"
    assert tools["next"]


def test_log_probabilities_stand_beside_every_token(surface: Surface) -> None:
    for answer in surface["logprobs"]:
        assert "".join(answer["tokens"]) == answer["text"]
        assert answer["tops"] == [2] * 4


def test_several_choices_a_seed_and_a_stop_word(surface: Surface) -> None:
    choices = surface["choices"]
    assert choices["texts"] == choices["again"] == choices["streamed"]
    assert len(set(choices["texts"])) == 2
    assert choices["cut"] == choices["texts"][0].partition(choices["stop"])[0]


def test_a_reasoning_model_tells_its_thoughts_apart(surface: Surface) -> None:
    assert surface["reasoning"]["content"]
    assert surface["reasoning"]["reasoning"]


def test_text_completions(surface: Surface) -> None:
    assert surface["text"]["whole"] == surface["text"]["streamed"]
    assert len(surface["text"]["whole"]) == 2


def test_embeddings_in_base64_as_the_sdk_asks_and_as_numbers(surface: Surface) -> None:
    packed, plain = surface["embeddings"]
    assert packed == plain
    assert b'"base64"' in surface.tape.sent("embeddings")[0].body


def test_models(surface: Surface) -> None:
    models = surface["models"]
    assert tuple(models["listed"]) == MODELS
    assert models["one"] == "mock-embed"
    assert (models["unknown"]["class"], models["unknown"]["code"]) == ("NotFoundError", "model_not_found")


def test_what_is_not_served_is_a_404(surface: Surface) -> None:
    assert (surface["notServed"]["class"], surface["notServed"]["status"]) == ("NotFoundError", 404)
    assert len(surface.tape.sent("notServed")) == 1


def test_headers_name_the_request_and_the_limits(surface: Surface) -> None:
    told = surface["headers"]
    assert told["id"] == told["request_id"] == told["headers"]["x-request-id"]
    for kind in ("requests", "tokens"):
        assert {f"x-ratelimit-{what}-{kind}" for what in ("limit", "remaining", "reset")} <= set(told["headers"])


def test_responses(surface: Surface) -> None:
    told = surface["responses"]
    assert told["status"] == "completed"
    assert told["whole"]
    assert told["whole"] == told["streamed"]
    assert told["kinds"] == ["response.created", "response.completed"]
    assert {name: type(value) for name, value in told["parsed"].items()} == LANDMARK
    assert told["called"] == ["function_call"] * 2


def test_what_would_need_a_store_is_refused(surface: Surface) -> None:
    assert surface["stored"]["param"] == "previous_response_id"


def test_a_sound_is_transcribed(surface: Surface) -> None:
    assert surface["transcription"]["text"]
    assert surface["transcription"]["events"] > 1


def test_a_call_that_takes_longer_than_its_caller_waits(surface: Surface) -> None:
    assert surface["timeout"]["class"] == "APIConnectionTimeoutError"
    (request,) = surface.tape.sent("timeout")
    assert not request.whole


async def test_a_stream_that_is_left_is_settled_for_what_was_written(surface: Surface) -> None:
    assert surface["leaving"]["chunks"] == 20
    settled, wrote = await surface.given_up("leaving")
    assert 19 <= settled <= wrote < 4000


async def test_whatever_was_given_up_is_settled(surface: Surface) -> None:
    assert surface["aborting"]["abort"]

    async def settled() -> bool:
        outcomes = [line["o"] for line in await surface.tenant.lines()]
        return outcomes.count("client_aborted") == len([one for one in surface.tape.requests if not one.whole]) == 3

    await eventually(settled)

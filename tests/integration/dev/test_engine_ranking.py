"""The mock engine's rerank and score, beside what a real vLLM 0.32 answered; and what all pooling routes share."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest

from tests.integration.dev.engine_place import Place, engine

SEEN = Path(__file__).parents[2] / "unit" / "dev" / "vllm"
RERANK = ("/rerank", "/v1/rerank", "/v2/rerank")
SCORE = ("/score", "/v1/score")
DOCUMENTS = ["a cat", "the red dog", "dog"]
PAIRS = 3 * 3 + 3 * 2 + 2 + 3 + 1
"""Three tokens a pair, two a query, and the documents."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with engine(tmp_path_factory.mktemp("engine"), "--max-model-len", "64") as place:
        yield place


@pytest.fixture
def place(shared: Place) -> Place:
    shared.reset()
    return shared


def shape(value: object, where: str = "") -> list[str]:
    """The fields of a value in order, each with its kind."""
    if isinstance(value, dict):
        return [line for name, one in value.items() for line in shape(one, f"{where}.{name}")]
    if isinstance(value, list):
        return shape(value[0], f"{where}[]") if value else [f"{where}[]"]
    return [f"{where} {type(value).__name__}"]


@pytest.mark.parametrize("path", RERANK)
async def test_the_best_document_comes_first_in_vllms_shape(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, json={"model": "mock-rerank", "query": "red dog", "documents": DOCUMENTS})
    told = answer.json()
    assert shape(told) == shape(msgspec.json.decode((SEEN / "rerank.json").read_bytes()))
    assert [one["index"] for one in told["results"]] == [1, 2, 0]
    assert told["results"][0]["document"] == {"text": "the red dog", "multi_modal": None}
    scores = [one["relevance_score"] for one in told["results"]]
    assert scores == sorted(scores, reverse=True)
    assert 0 < scores[-1] < scores[0] < 1
    assert told["usage"] == {"prompt_tokens": PAIRS, "total_tokens": PAIRS}


async def test_no_more_come_than_are_wanted_but_all_are_paid(client: httpx.AsyncClient) -> None:
    asked = {"query": "red dog", "documents": DOCUMENTS, "top_n": 1}
    told = (await client.post("/v1/rerank", json=asked)).json()
    assert ([one["index"] for one in told["results"]], told["usage"]["prompt_tokens"]) == ([1], PAIRS)


@pytest.mark.parametrize("path", SCORE)
@pytest.mark.parametrize(
    "names", [("queries", "documents"), ("queries", "items"), ("text_1", "text_2"), ("data_1", "data_2")]
)
async def test_pairs_are_scored_in_their_order(client: httpx.AsyncClient, path: str, names: tuple[str, str]) -> None:
    told = (await client.post(path, json={"model": "mock-rerank", names[0]: "red dog", names[1]: DOCUMENTS})).json()
    assert shape(told) == shape(msgspec.json.decode((SEEN / "score.json").read_bytes()))
    first, second, third = (one["score"] for one in told["data"])
    assert first < third < second
    assert told["usage"]["prompt_tokens"] == PAIRS


async def test_as_many_queries_as_documents_are_scored_one_with_one(client: httpx.AsyncClient) -> None:
    told = (await client.post("/score", json={"text_1": ["a", "bb"], "text_2": ["a", "c"]})).json()
    assert [one["score"] > 0.5 for one in told["data"]] == [True, False]
    assert told["usage"]["prompt_tokens"] == 2 * 3 + 4


async def test_a_model_that_embeds_ranks_too_and_reads_the_query_once(client: httpx.AsyncClient) -> None:
    asked = {"model": "mock-embed", "query": "red dog", "documents": DOCUMENTS}
    told = (await client.post("/v1/rerank", json=asked)).json()
    assert (told["model"], told["usage"]["prompt_tokens"]) == ("mock-embed", 2 + 2 + 3 + 1)


@pytest.mark.parametrize(
    ("path", "fields", "told"),
    [
        ("/rerank", {"documents": []}, (400, "BadRequestError", None)),
        ("/rerank", {"top_n": -1}, (400, "Bad Request", "body.top_n")),
        ("/rerank", {"query": ["a"]}, (400, "Bad Request", "body.query")),
        ("/rerank", {"query": None}, (400, "Bad Request", "body.query")),
        ("/rerank", {"model": "nope"}, (404, "NotFoundError", None)),
        ("/rerank", {"documents": [{"content": [{"type": "text"}]}]}, (400, "BadRequestError", None)),
        ("/rerank", {"documents": ["x" * 4 * 60]}, (400, "BadRequestError", "input_tokens")),
        ("/score", {"text_1": ["a", "b"], "text_2": ["a", "b", "c"]}, (400, "BadRequestError", None)),
        ("/score", {"text_1": [], "text_2": "a"}, (400, "BadRequestError", None)),
        ("/score", {"queries": "a", "documents": None}, (400, "Bad Request", "body.documents")),
        ("/score", {"documents": None}, (400, "Bad Request", "body.queries")),
        ("/v1/embeddings", {"model": "nope", "input": "a"}, (404, "NotFoundError", None)),
        ("/v1/embeddings", {"model": "mock-embed", "input": []}, (400, "BadRequestError", None)),
        ("/v1/embeddings", {"model": "mock-embed", "input": "x" * 4 * 65}, (400, "BadRequestError", "input_tokens")),
    ],
)
async def test_what_vllm_refuses_is_refused_alike(
    client: httpx.AsyncClient, path: str, fields: dict[str, object], told: tuple[int, str, str | None]
) -> None:
    known = {"model": "mock-rerank", "query": "red dog", "documents": DOCUMENTS, **fields}
    answer = await client.post(path, json=known)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["param"]) == told
    assert error["code"] == answer.status_code


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/chat/completions", "mock-rerank"),
        ("/v1/completions", "mock-embed"),
        ("/v1/responses", "mock-whisper"),
        ("/v1/embeddings", "mock-gpt"),
        ("/v1/embeddings", "mock-rerank"),
        ("/v1/rerank", "mock-gpt"),
        ("/v1/score", "mock-whisper"),
    ],
)
async def test_a_model_that_does_something_else_has_no_such_route(
    client: httpx.AsyncClient, path: str, model: str
) -> None:
    asked = {"messages": [{"role": "user", "content": "a"}], "input": "a", "query": "a", "documents": ["b"]}
    more = {"prompt": "a"} if path == "/v1/completions" else {}
    text = {"text_1": "a", "text_2": "b"} if path == "/v1/score" else {}
    answer = await client.post(path, json={**asked, **more, **text, "model": model})
    assert (answer.status_code, answer.content) == (404, b'{"detail":"Not Found"}')


async def test_the_oracle_knows_what_was_read(place: Place, client: httpx.AsyncClient) -> None:
    for path, used in (("/v1/rerank", PAIRS), ("/v1/score", PAIRS), ("/v1/embeddings", 2)):
        model = "mock-embed" if path == "/v1/embeddings" else "mock-rerank"
        asked = {"model": model, "query": "red dog", "documents": DOCUMENTS, "queries": "red dog", "input": "red dog"}
        await client.post(path, json=asked, headers={"x-request-id": path})
        line = await place.line(path)
        assert (line["path"], line["model"], line["outcome"]) == (path, model, "finished")
        assert (line["prompt_tokens"], line["completion_tokens"]) == (used, 0)
    assert place.metric("vllm:prompt_tokens_total") == PAIRS + PAIRS + 2


async def test_a_slow_one_is_load_and_is_abandoned_with_its_client(place: Place, client: httpx.AsyncClient) -> None:
    asked = {"query": "[[mock first_ms=600000]]", "documents": ["a"]}
    request = asyncio.create_task(client.post("/v1/rerank", json=asked, headers={"x-request-id": "slow"}))
    for _ in range(1500):
        if place.told("/running"):
            break
        await asyncio.sleep(0.02)
    assert place.metric("vllm:num_requests_waiting") == 1
    async with httpx.AsyncClient(base_url=place.url) as other:
        assert (await other.get("/load")).json() == {"server_load": 1}
    request.cancel()
    line = await place.line("slow")
    assert (line["outcome"], line["prompt_tokens"]) == ("aborted", 0)
    assert place.metric("vllm:num_requests_waiting") == 0


async def test_faults_happen_instead_of_an_answer(place: Place, client: httpx.AsyncClient) -> None:
    for words, name in (("die_after=0", "died"), ("error_chunk_after=0", "error"), ("status=503", "refused")):
        asked = {"query": f"[[mock {words}]]", "documents": ["a"]}
        if name == "died":
            with pytest.raises(httpx.HTTPError):
                await client.post("/v1/rerank", json=asked, headers={"x-request-id": name})
        else:
            answer = await client.post("/v1/rerank", json=asked, headers={"x-request-id": name})
            assert answer.status_code == (500 if name == "error" else 503)
        assert ((await place.line(name))["outcome"], place.told("/running")) == (name, [])

"""The mock engine beside the real one: the same request, the same keys in the same order."""

import sys
from collections.abc import Iterator
from difflib import unified_diff

import httpx
import pytest

from ias.dev.vllm import server
from tests.engine import outline, samples
from tests.engine.figures import Figures
from tests.integration.gateway.place import Place
from tests.product.processes import Process
from tests.services import free_port

MOCK = "mock-gpt"


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A mock engine with the real one's context."""
    folder, port = tmp_path_factory.mktemp("mock"), free_port()
    argv = (sys.executable, "-m", "ias.dev.engine", "--port", str(port), "--max-model-len", str(server.CONTEXT))
    url = f"http://127.0.0.1:{port}"
    process = Process("mock", argv, {"PATH": "/usr/bin:/bin"}, folder, f"{url}/health")
    try:
        process.start()
        process.wait_ready()
        yield url
    finally:
        process.end()


def shape(answer: httpx.Response) -> list[str]:
    """Status, kind, and the keys of each event."""
    kind = answer.headers.get("content-type", "")
    events = outline.of_answer(kind, answer.content)
    return [f"{answer.status_code} {kind}", *(line for event in events for line in ("", *event))]


def asked(url: str, model: str, name: str) -> httpx.Response:
    if name in samples.READ:
        return httpx.get(url + name, timeout=60)
    path, fields = samples.ASKED[name]
    return httpx.post(url + path, json={"model": model, **fields}, timeout=300)


def test_the_mock_engine_answers_in_the_real_ones_shapes(place: Place, mock: str, figures: Figures) -> None:
    differences: dict[str, str] = {}
    names = (*samples.ASKED, *samples.READ)
    for name in names:
        real, mocked = (
            shape(asked(url, model, name)) for url, model in ((place.engine_url, server.MODEL), (mock, MOCK))
        )
        if real != mocked:
            differences[name] = "\n".join(unified_diff(real, mocked, "real", "mock", lineterm="", n=1))
    figures.add(
        "shapes", "requests answered with the real one's keys by the mock", "", engine=len(names) - len(differences)
    )
    figures.add("shapes", "requests asked of both", "", engine=len(names))
    assert not differences, "\n\n".join(f"{name}\n{difference}" for name, difference in differences.items())

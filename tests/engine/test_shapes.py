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
KNOWN = {
    "completion, echo and logprobs": "the mock engine has no log probabilities of the prompt's own tokens",
    "temperature out of range": "the mock engine takes a temperature below zero",
}
"""Where the mock engine is known to differ; any other difference fails. Told in every run."""


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
    same = len(names) - len(differences)
    figures.add("shapes", "of so many requests asked of the mock engine too", "requests", engine=len(names))
    figures.add("shapes", "it answers with the same keys in the same order", "requests", engine=same)
    for name in differences:
        figures.add("shapes", f"differs: {name}", KNOWN.get(name, "not known before"))
    unknown = {name: difference for name, difference in differences.items() if name not in KNOWN}
    assert not unknown, "\n\n".join(f"{name}\n{difference}" for name, difference in unknown.items())

"""An answer without tokens of its own ends once, however it ends."""

import asyncio

import pytest

from ias.dev.engine.directives import Behaviour, Settings
from ias.dev.engine.engine import Engine
from ias.dev.engine.oracle import Oracle, Written
from ias.dev.engine.pooled import Pooled
from ias.dev.engine.served import Served
from ias.dev.engine.server import Connection


@pytest.fixture
def mock() -> Engine:
    return Engine(Served(), 1024, Settings(), Oracle(None))


def pooled(engine: Engine, told: Behaviour) -> Pooled:
    """A request on a connection that nobody reads."""
    connection = Connection(lambda _: None, set())
    for line in (b"POST /v1/rerank HTTP/1.1\r\n", b"content-length: 0\r\n\r\n"):
        connection.data_received(line)
    entry = Written(request_id="it", path="/v1/rerank", started_at=1.0)
    return Pooled(engine, connection, entry, told, 7)


async def test_what_is_abandoned_is_never_answered(mock: Engine) -> None:
    request = pooled(mock, Behaviour(first_ms=1))
    request.begin(b"{}")
    assert (mock.metrics.load, [entry.outcome for entry in mock.oracle.live()]) == (1, ["running"])
    request.abandon()
    # Timers fire in the order of their times: after this one, that of the answer would have.
    await asyncio.sleep(0.002)
    assert [(entry.outcome, entry.prompt_tokens) for entry in mock.oracle.over(1)] == [("aborted", 0)]
    assert (mock.metrics.load, mock.metrics.prompt_tokens, mock.oracle.live()) == (0, 0, [])


async def test_what_waits_is_answered_in_the_end(mock: Engine) -> None:
    pooled(mock, Behaviour(first_ms=1)).begin(b"{}")
    await asyncio.sleep(0.002)
    assert [(entry.outcome, entry.prompt_tokens) for entry in mock.oracle.over(1)] == [("finished", 7)]
    assert (mock.metrics.load, mock.metrics.prompt_tokens) == (0, 7)

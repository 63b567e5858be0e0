"""What is asked about the engine itself: models, health, load, version, metrics."""

import random
from time import time

import msgspec

from ias.dev.engine import metrics
from ias.dev.engine.engine import Engine
from ias.dev.engine.server import Connection

VERSION = "0.32.0"
_MAY = {
    "allow_create_engine": False,
    "allow_sampling": True,
    "allow_logprobs": True,
    "allow_search_indices": False,
    "allow_view": True,
    "allow_fine_tuning": False,
    "organization": "*",
    "group": None,
    "is_blocking": False,
}


def models(engine: Engine, connection: Connection) -> None:
    """`GET /v1/models`."""
    now = int(time())
    data = [_card(engine, name, now) for name in engine.served.names]
    connection.answer(200, msgspec.json.encode({"object": "list", "data": data}))


def health(_engine: Engine, connection: Connection) -> None:
    """`GET /health`."""
    connection.answer(200, b"")


def load(engine: Engine, connection: Connection) -> None:
    """`GET /load`."""
    connection.answer(200, b'{"server_load":%d}' % engine.metrics.load)


def version(_engine: Engine, connection: Connection) -> None:
    """`GET /version`."""
    connection.answer(200, b'{"version":"%b"}' % VERSION.encode())


def exposition(engine: Engine, connection: Connection) -> None:
    """`GET /metrics`."""
    cache = engine.cache.queries, engine.cache.hits, engine.cache.capacity
    connection.answer(200, engine.metrics.exposition(engine.served.generative[0], cache), metrics.CONTENT_TYPE)


def _card(engine: Engine, name: str, now: int) -> dict[str, object]:
    identity = f"modelperm-{random.getrandbits(64):016x}"
    permission = {"id": identity, "object": "model_permission", "created": now, **_MAY}
    card = {"id": name, "object": "model", "created": now, "owned_by": "vllm", "root": name, "parent": None}
    return {**card, "max_model_len": engine.context, "permission": [permission]}

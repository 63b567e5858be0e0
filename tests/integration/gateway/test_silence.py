"""A Redis that is there and says nothing: whom a gateway has told that it cannot decide is held to nothing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from ias.contract import admission
from tests.integration.gateway.place import Place, Tenant, eventually, place_of
from tests.services import Services


@pytest.fixture
def own(services: Services, tmp_path: Path) -> Iterator[Place]:
    """A gateway that gives an answer of Redis up long before its connection, which is after two seconds."""
    with place_of(services, tmp_path, IAS_REDIS_TIMEOUT_MS="500") as place:
        yield place


async def served(tenant: Tenant) -> bool:
    return (await tenant.chat(max_tokens=1)).status_code == 200


async def test_a_redis_that_is_silent_is_a_503(lone: Tenant) -> None:
    lone.place.redis.stop()
    try:
        answer = await lone.chat()
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_ready")
    finally:
        lone.place.redis.cont()


async def test_what_a_silent_redis_admits_after_all_holds_nothing(lone: Tenant) -> None:
    await eventually(lambda: served(lone))
    before = len(await lone.lines())
    lone.place.redis.stop()
    try:
        answers = await asyncio.gather(*(lone.chat() for _ in range(5)))
    finally:
        lone.place.redis.cont()
    assert {answer.status_code for answer in answers} == {503}
    lines = await lone.lines(before + 5)
    assert [(line["o"], line["pt"], line["ct"]) for line in lines[before:]] == [("rejected", "0", "0")] * 5
    assert await lone.edge.redis.zcard(f"{admission.slot(lone.tag)}:resv") == 0

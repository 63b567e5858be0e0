"""A gateway in front of the Function library of the release before, as while one is replaced by the other."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ias.contract import admission, keys
from tests.integration.gateway.place import CHAT, USER, Place, Tenant, eventually, logged, place_of
from tests.services import Services

PACKED = re.compile(r"^redis\.register_function\('ias_\w+_packed', \w+\)\n", re.MULTILINE)


@pytest.fixture
def own(services: Services, tmp_path: Path) -> Iterator[Place]:
    """A gateway whose streams wait for slow engines, and which has a spool file."""
    with place_of(services, tmp_path, IAS_SPOOL_DIR=str(tmp_path / "spool")) as place:
        yield place


def of_the_release_before() -> str:
    """A library that knows the calls of a request only in their older form."""
    library, without = PACKED.subn("", admission.LIBRARY)
    assert without == 2, "reserve and settle"
    return library.replace(f"'{admission.LIBRARY_VERSION}'", "'before'")


async def load(tenant: Tenant, library: str) -> None:
    """Load a library in place of the one that is there, as a worker does."""
    await tenant.edge.redis.function_load(library, replace=True)


async def refusals(folder: Path) -> list[str]:
    """What Redis said to settlements that it refused."""
    lines = await asyncio.to_thread(logged, folder, "gateway")
    return [line["error"] for line in lines if line["event"] == "a settlement was refused"]


async def test_a_library_that_lacks_the_calls_of_this_release_decides_nothing_and_loses_nothing(
    lone: Tenant, tmp_path: Path
) -> None:
    body = lone.body("[[mock tokens=30 delay_ms=20]]", stream=True, max_tokens=30)
    async with lone.place.client.stream("POST", CHAT, json=body, headers=lone.headers) as answer:
        parts = answer.aiter_bytes()
        await anext(parts)
        await load(lone, of_the_release_before())
        assert b"".join([part async for part in parts]).endswith(b"data: [DONE]\n\n")

    async def refused() -> bool:
        return len(await refusals(tmp_path)) > 1

    await eventually(refused, within=30)
    assert {text.removeprefix("ERR ") for text in await refusals(tmp_path)} == {"Function not found"}
    for token in (lone.token, keys.mint(lone.tag)):
        headers = {"authorization": f"Bearer {token}"}
        undecided = await lone.place.client.post(CHAT, json=lone.body(), headers=headers)
        assert (undecided.status_code, undecided.json()["error"]["code"]) == (503, "not_ready")
        assert int(undecided.headers["retry-after"]) > 0
    assert await lone.edge.redis.xlen(admission.outbox(lone.tag)) == 0

    await load(lone, admission.LIBRARY)
    (line,) = await lone.books_agree()
    assert (line["l"], line["ct"], line["o"]) == ("1", "30", "completed")
    used, held = (int(part) for part in (await lone.edge.standing(lone.tag, USER))[2:4])
    assert (used, held) == (int(line["pt"]) + int(line["ct"]), 0)
    assert (await lone.chat()).status_code == 200


def of_the_next_release(forms: str) -> str:
    """A library of another version, which understands these forms of calls."""
    library = admission.LIBRARY.replace(f"'{admission.LIBRARY_VERSION}'", "'next'")
    assert "return { 1, 1 }" in library
    return library.replace("return { 1, 1 }", f"return {{ {forms} }}")


async def test_a_gateway_stays_ready_on_the_library_of_the_next_release_as_long_as_that_serves_it(lone: Tenant) -> None:
    await load(lone, of_the_next_release("1, 2"))
    assert (await lone.place.client.get(f"{lone.place.probes}/ready")).status_code == 200
    assert (await lone.chat()).status_code == 200
    await lone.books_agree()
    assert (await lone.edge.library_serves(), await lone.edge.library_is_current()) == (True, False)
    await load(lone, of_the_next_release("2, 2"))
    assert not await lone.edge.library_serves()
    answer = await lone.place.client.get(f"{lone.place.probes}/ready")
    assert (answer.status_code, answer.json()["dependencies"]["function library"][:38]) == (
        503,
        "of a release that does not serve this ",
    )

"""The checker finds what it is for: right books pass, and a single thing that is wrong with them does not."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio as aioredis

from tests.faults.checker import Books, check, compare
from tests.faults.load import running
from tests.faults.rig import Rig, rig, tag_of
from tests.faults.witness import Witness, watching
from tests.services import Services

ENOUGH = 60
REAL = "outcome = 'completed' AND NOT estimated AND line = 1"


@pytest.fixture(scope="module")
def place(services: Services, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with rig(services, tmp_path_factory.mktemp("checker")) as it:
        yield it


@pytest.fixture(scope="module")
async def right(place: Rig) -> Books:
    """Books that are right. Nothing may change them any more but the tests themselves."""
    await asyncio.to_thread(place.grant)
    async with (
        watching(place.parts["redis"].url, place.limits, place.witness),
        running(place.target, 4, place.witness) as load,
    ):
        await load.reaches(ENOUGH)
    books = await place.settled()
    for name in ("worker", "gateway", "second-gateway", "api"):
        await asyncio.to_thread(place.process(name).end)
    return books


async def spoiled(place: Rig, spoil: str, mend: str) -> Books:
    """The books with one thing in PostgreSQL wrong, which is put right again."""
    connection = await asyncpg.connect(place.parts["postgres"].url)
    try:
        await connection.execute(spoil)
        books = await place.books()
        await connection.execute(mend)
    finally:
        await connection.close()
    return books


async def test_books_that_are_right_pass(place: Rig, right: Books) -> None:
    assert right.right, right.wrongs()
    assert right.same >= ENOUGH // 2
    assert right.ledger > 0
    assert place.witness.samples > 0
    assert len(place.witness.admitted) >= ENOUGH
    assert place.overshoot(right) == 0


async def test_a_row_that_was_dropped_is_missed(place: Rig, right: Books) -> None:
    spoil = f"""
    CREATE TABLE kept AS SELECT * FROM billing.ledger_lines WHERE {REAL} LIMIT 1;
    DELETE FROM billing.ledger_lines l USING kept k WHERE l.request_id = k.request_id
    """
    books = await spoiled(place, spoil, "INSERT INTO billing.ledger_lines SELECT * FROM kept; DROP TABLE kept")
    assert len(books.missing) == 1
    assert not books.right
    assert (await place.books()).right


async def test_a_row_that_is_there_twice_is_found(place: Rig, right: Books) -> None:
    spoil = f"""
    CREATE TABLE kept AS SELECT * FROM billing.ledger_lines WHERE {REAL} LIMIT 1;
    UPDATE kept SET line = 3;
    INSERT INTO billing.ledger_lines SELECT * FROM kept
    """
    mend = "DELETE FROM billing.ledger_lines WHERE line = 3; DROP TABLE kept"
    books = await spoiled(place, spoil, mend)
    assert len(books.doubled) == 1
    assert not books.right
    assert (await place.books()).right


@pytest.mark.parametrize("change", [1, -1])
async def test_a_token_too_many_or_too_few_is_found(place: Rig, right: Books, change: int) -> None:
    at = f"request_id = (SELECT request_id FROM billing.ledger_lines WHERE {REAL} ORDER BY 1 LIMIT 1)"
    update = f"UPDATE billing.ledger_lines SET completion_tokens = completion_tokens + ({{}}) WHERE {at}"
    books = await spoiled(place, update.format(change), update.format(-change))
    assert books.difference.total() == 1
    assert not books.right
    assert (await place.books()).right


async def test_a_reservation_that_stays_is_found(place: Rig, right: Books) -> None:
    key = f"{{o:{tag_of(place.tokens['free'])}}}:resv"
    async with aioredis.from_url(place.parts["redis"].url) as client:
        await client.zadd(key, {"a request": 1})
        books = await place.books()
        await client.zrem(key, "a request")
    assert books.open == 1
    assert not books.right
    assert (await place.books()).right


async def test_a_sum_in_redis_that_differs_is_found(place: Rig, right: Books) -> None:
    async with aioredis.from_url(place.parts["redis"].url) as client:
        key = await anext(client.scan_iter(f"{{o:{tag_of(place.tokens['free'])}}}:bud:*"))
        await client.hincrby(key, "used", 1)
        books = await place.books()
        await client.hincrby(key, "used", -1)
    assert not books.right
    assert (await place.books()).right


async def test_something_set_aside_is_found(place: Rig, right: Books) -> None:
    spoil = """
    INSERT INTO billing.quarantine (id, origin, reason, body, body_hash)
    VALUES (gen_random_uuid(), 'queue', 'bad', 'x', 'x')
    """
    books = await spoiled(place, spoil, "DELETE FROM billing.quarantine")
    assert books.reasons == ["bad"]
    assert not books.right


async def test_a_sample_beyond_the_budget_is_found(place: Rig, right: Books) -> None:
    over = Witness()
    over.look(100, 60, 40)
    assert over.overshoot == 0
    over.look(100, 60, 41)
    over.look(100, 0, 0)
    assert over.overshoot == 1
    tag = tag_of(place.tokens["poor"])
    within = place.limits[tag]
    place.limits[tag] = right.spent[place.orgs["poor"].id] - 1
    assert place.overshoot(right) == 1
    place.limits[tag] = within


async def test_without_an_engine_log_everything_is_unheard(place: Rig, right: Books, tmp_path: Path) -> None:
    empty = tmp_path / "oracle.jsonl"
    empty.write_bytes(b"")
    books = await check(place.parts["postgres"].url, place.parts["redis"].url, empty, place.witness)
    assert sum(books.unheard.values()) == books.ledger


def line(**changes: object) -> dict:
    usual = {"id": "a", "line": 1, "org": "o", "prompt": 5, "completion": 10, "outcome": "completed", "streamed": True}
    return usual | {"lower_bound": False, "estimated": False} | changes


def wrote(prompt: int, completion: int) -> list[dict]:
    return [{"request_id": "a", "prompt_tokens": prompt, "completion_tokens": completion}]


def test_an_admitted_request_that_the_engine_never_saw_needs_its_line_too() -> None:
    assert compare([], [], Witness(admitted={"b"})).missing == ["b"]
    assert compare([line(id="b", prompt=0, completion=0)], [], Witness(admitted={"b"})).missing == []


@pytest.mark.parametrize(("unbilled", "late"), [(13, False), (14, False), (15, True)])
def test_a_killed_gateway_may_leave_a_quarter_of_a_second_unbilled(unbilled: int, late: bool) -> None:
    witness = Witness(delays_ms={"a": 19})
    lost = line(completion=10, outcome="gateway_lost", lower_bound=True)
    books = compare([lost], wrote(5, 10 + unbilled), witness)
    books.used = books.analytics = books.ledger
    assert books.right is not late, books.unbilled_ms


def test_what_a_client_has_read_is_billed_though_it_left() -> None:
    left = line(completion=3, outcome="client_aborted")
    books = compare([left], wrote(5, 8))
    assert not books.difference
    books = compare([left], wrote(5, 8), Witness(seen=Counter(a=4)))
    assert books.difference.total() == 1


def test_a_killed_gateway_is_never_billed_too_much() -> None:
    lost = line(completion=11, outcome="gateway_lost", lower_bound=True)
    assert compare([lost], wrote(5, 10)).over_billed


def test_an_adjustment_counts_with_its_line() -> None:
    lines = [line(completion=4, outcome="gateway_lost", lower_bound=True), line(line=2, prompt=0, completion=6)]
    books = compare(lines, wrote(5, 10))
    assert books.same == 1
    assert not books.doubled
    assert compare([lines[1]], wrote(0, 6)).doubled == ["a"]


def test_tokens_of_an_attempt_that_was_taken_back_are_told_apart() -> None:
    line = {"id": "r", "line": 1, "org": "o", "prompt": 3, "completion": 5, "outcome": "completed"}
    wrote = [{"request_id": "r", "prompt_tokens": 3, "completion_tokens": tokens} for tokens in (2, 5)]
    books = compare([{**line, "lower_bound": False, "estimated": False}], wrote)
    assert (books.same, books.sent_anew, books.lower_bounds, books.different) == (1, {"r": 5}, {}, {})

"""Budgets, poison, projections: what goes wrong without anything being killed."""

import asyncio
import time
from uuid import uuid4

import aio_pika
import asyncpg
import redis.asyncio as aioredis

from ias.bus import dead_letters
from ias.contract.usage import ANALYTICS_QUEUE, EXCHANGE, LEDGER_QUEUE, ROUTING_KEY
from tests.faults.asking import ask
from tests.faults.load import Load
from tests.faults.matrix import Fault
from tests.faults.rig import Rig, tag_of
from tests.faults.witness import budget

ALL, ROOM = 500, 37
HELD_MS = 5000
POISONED_AMONG = 1000
WITHIN_S = 60.0


async def room_for_some(rig: Rig, load: Load) -> None:
    """Five hundred at once, over both gateways, with room for 37: each holds what it asked for until all have asked."""
    load.pause()
    token, tag = rig.tokens["exact"], tag_of(rig.tokens["exact"])
    async with _redis(rig) as client:
        one = asyncio.create_task(_held(rig, 0, token))
        each = 0
        while not each:
            assert not one.done(), await one
            _, each = await budget(client, tag)
        await one
        used = await _settled(client, tag)
    await asyncio.to_thread(rig.allow, "exact", used + ROOM * each)
    answers = await asyncio.gather(*(_held(rig, number, token) for number in range(ALL)))
    by_status = {status: sum(answer.status == status for answer in answers) for status in {a.status for a in answers}}
    for answer in answers:
        if answer.status == 200:
            rig.witness.admit(answer.request_id, None)
    rig.figures["P4 admitted"] = by_status.get(200, 0)
    load.resume()
    load.asked += ALL + 1
    assert by_status == {200: ROOM, 429: ALL - ROOM}, f"with room for {ROOM}: {by_status}"


async def _settled(client: aioredis.Redis, tag: str) -> int:
    """What is used, once nothing is held any more: the gateways' word comes by way of the fault proxy."""
    until = time.monotonic() + WITHIN_S
    used, held = await budget(client, tag)
    while held:
        assert time.monotonic() < until, f"{held} tokens are still held"
        await asyncio.sleep(0.02)
        used, held = await budget(client, tag)
    return used


async def _held(rig: Rig, number: int, token: str):  # noqa: ANN202
    directive = f"tokens=4 prefill_ms={HELD_MS}"
    return await ask(rig.gateways[number % 2], token, directive, stream=True, max_tokens=4)


async def poisoned(rig: Rig, load: Load) -> None:
    """Among a thousand settlements, one that cannot be read, one with a negative number, one that is no message."""
    tag = tag_of(rig.tokens["free"])
    async with _redis(rig) as client:
        start = load.succeeded
        await load.reaches(start + POISONED_AMONG // 2, 120)
        await client.xadd(f"{{o:{tag}}}:out", {"r": "nonsense", "l": "1"})
        copied = await _negative(client, tag)
        expected = 1 + (2 if copied else 0)
        if rig.amqp_url is not None:
            await _publish(rig.amqp_url, b"this is no message")
            expected += 2
        await load.reaches(start + POISONED_AMONG, 120)
    await _set_aside(rig, expected)


async def _negative(client: aioredis.Redis, tag: str) -> bool:
    """A settlement as any other, but for its id and a number of tokens that cannot be."""
    for _ in range(2000):
        found = await client.xrange(f"{{o:{tag}}}:out", count=1)
        if found:
            fields = {name.decode(): value for name, value in found[0][1].items()}
            await client.xadd(f"{{o:{tag}}}:out", {**fields, "r": str(uuid4()), "pt": "-5"})
            return True
        await asyncio.sleep(0.005)
    return False


async def _publish(url: str, body: bytes) -> None:
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(EXCHANGE)
        await exchange.publish(aio_pika.Message(body), routing_key=ROUTING_KEY)


async def _set_aside(rig: Rig, expected: int) -> None:
    """See that all of it was set aside, and none of the others; then throw it away."""
    until = time.monotonic() + WITHIN_S
    connection = await asyncpg.connect(rig.parts["postgres"].url)
    try:
        while True:
            books = await rig.books()
            poison_left = [line for line in await _outboxes(rig) if line.get(b"pt") == b"-5" or b"f" not in line]
            if books.quarantined >= expected and not poison_left:
                break
            assert time.monotonic() < until, f"{books.quarantined} of {expected} were set aside: {books.reasons}"
            await asyncio.sleep(0.3)
        assert books.quarantined == expected, f"{books.quarantined}, not {expected}, were set aside: {books.reasons}"
        await connection.execute("DELETE FROM billing.quarantine")
        await connection.execute("DELETE FROM analytics.quarantine")
    finally:
        await connection.close()
    if rig.amqp_url is not None:
        async with await aio_pika.connect(rig.amqp_url) as broker:
            channel = await broker.channel()
            for queue in (LEDGER_QUEUE, ANALYTICS_QUEUE):
                found = await channel.get_queue(dead_letters(queue))
                await found.purge()


async def _outboxes(rig: Rig) -> list[dict[bytes, bytes]]:
    async with _redis(rig) as client:
        entries = []
        for token in rig.tokens.values():
            entries += await client.xrange(f"{{o:{tag_of(token)}}}:out")
    return [fields for _, fields in entries]


async def older_after_newer(rig: Rig, load: Load) -> None:
    """An old limit and an old key arrive after the new ones: a revoked key stays out, a limit stays."""
    tag = tag_of(rig.tokens["free"])
    key = await asyncio.to_thread(rig.orgs["free"].user.issue_key)
    await asyncio.to_thread(rig.revoke, "free", key["id"])
    slot = f"{{o:{tag}}}"
    async with _redis(rig) as client:
        fingerprints = [found async for found in client.scan_iter(f"{slot}:k:*")]
        for name in fingerprints:
            if await client.hget(name, "kid") == key["id"].encode():
                fields = [await client.hget(name, part) for part in ("kid", "uid")]
                fingerprint = name.decode().rpartition(":")[2]
                await client.fcall("ias_grant", 1, slot, fingerprint, 1, *fields, "")
        await client.fcall("ias_project", 1, slot, "pol", 1, "tokens", 0)
        await client.fcall("ias_project", 1, slot, "org", 1, "id", "", "st", "suspended")
    answer = await ask(rig.gateways[0], key["token"], "tokens=1")
    assert answer.status == 401, f"a revoked key is let in again: {answer.status}"
    good = await ask(rig.gateways[1], rig.tokens["free"], "tokens=1")
    assert good.status == 200, f"an older projection won: {good.status} {good.text}"
    rig.witness.admit(good.request_id, None)


async def revoked_without_redis(rig: Rig, load: Load) -> None:
    """The revoke is committed, and Redis does not hear of it: the API says so, and it is made up for."""
    key = await asyncio.to_thread(rig.orgs["free"].user.issue_key)
    link = rig.links["api redis"]
    with link.doing(refuse=True):
        link.reset()
        answer = await asyncio.to_thread(rig.try_to_revoke, "free", key["id"])
        assert answer >= 500, f"the API answered {answer} though Redis had not confirmed"
    until = time.monotonic() + WITHIN_S
    while (answered := await ask(rig.gateways[0], key["token"], "tokens=1")).status != 401:
        if answered.status == 200:
            rig.witness.admit(answered.request_id, None)
        assert time.monotonic() < until, "a revoked key is never turned away"
        await asyncio.sleep(0.2)


def _redis(rig: Rig) -> aioredis.Redis:
    return aioredis.from_url(rig.parts["redis"].url)


FAULTS = (
    Fault(f"budget: {ALL} at once with room for {ROOM}", room_for_some),
    Fault(f"poison: one in {POISONED_AMONG:,}", poisoned),
    Fault("projection: older after newer", older_after_newer),
    Fault("projection: revoke committed, Redis not told", revoked_without_redis),
)

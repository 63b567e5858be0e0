"""Promises that are about time, or about who answers what meanwhile; each measured once, as a fault of its own."""

import asyncio
import time

import redis.asyncio as aioredis

from tests.faults.asking import Answer, ask
from tests.faults.load import Load
from tests.faults.matrix import Fault
from tests.faults.rig import Rig

DOWN_S = 15.0
ASKED = 10
WITHIN_S = 60.0
LONG = "tokens=60 delay_ms=50"
VERY_LONG = "tokens=60 delay_ms=150"


async def revoked(rig: Rig, load: Load) -> None:
    """A key is revoked while a stream of it is open: nobody is let in, and the stream is cut."""
    user = rig.orgs["free"].user
    key = await asyncio.to_thread(user.issue_key)
    stream = asyncio.create_task(ask(rig.gateways[0], key["token"], VERY_LONG, stream=True))
    before = rig.running()
    await load.until(lambda: rig.running() > before or stream.done(), WITHIN_S)
    await asyncio.to_thread(rig.revoke, "free", key["id"])
    confirmed = time.monotonic()
    answers = [await ask(gateway, key["token"], "tokens=1") for gateway in rig.gateways]
    rig.figures["P6 refused"] = time.monotonic() - confirmed
    cut = await stream
    rig.figures["P6 cut"] = time.monotonic() - confirmed
    rig.witness.admit(cut.request_id, None)
    assert [answer.status for answer in answers] == [401, 401], f"a revoked key: {answers}"
    assert cut.told, f"the stream of a revoked key ended well: {cut.text[-300:]}"


async def suspended(rig: Rig, load: Load) -> None:
    """The same, with the whole organisation."""
    org = rig.orgs["exact"]
    await asyncio.to_thread(rig.allow, "exact", None)
    stream = asyncio.create_task(ask(rig.gateways[1], rig.tokens["exact"], VERY_LONG, stream=True))
    await asyncio.sleep(0.5)
    path = f"/organizations/{org.id}"
    (await asyncio.to_thread(rig.admin.api.post, f"{path}/suspend")).raise_for_status()
    confirmed = time.monotonic()
    answers = [await ask(gateway, rig.tokens["exact"], "tokens=1") for gateway in rig.gateways]
    rig.figures["P6 refused"] = max(rig.figures.get("P6 refused", 0), time.monotonic() - confirmed)
    cut = await stream
    rig.figures["P6 cut"] = max(rig.figures.get("P6 cut", 0), time.monotonic() - confirmed)
    rig.witness.admit(cut.request_id, None)
    (await asyncio.to_thread(rig.admin.api.post, f"{path}/resume")).raise_for_status()
    assert [answer.status for answer in answers] == [403, 403], f"a suspended organisation: {answers}"
    assert cut.told, f"the stream of a suspended organisation ended well: {cut.text[-300:]}"


async def alone(rig: Rig, load: Load) -> None:
    """All is down but Redis, gateways and engine."""
    names = [name for name in ("postgres", "rabbitmq") if name in rig.parts]
    for name in ("worker", "api"):
        rig.process(name).kill()
    await asyncio.gather(*(asyncio.to_thread(rig.parts[name].kill) for name in names))
    answered, broken = dict(load.answers), load.broken
    began = load.succeeded
    try:
        await asyncio.sleep(DOWN_S)
    finally:
        failed = sum(load.answers.get(status, 0) - answered.get(status, 0) for status in load.answers if status >= 500)
        failed += load.broken - broken
        served = load.succeeded - began
        await asyncio.gather(*(asyncio.to_thread(rig.parts[name].start) for name in names))
        for name in ("worker", "api"):
            await asyncio.to_thread(rig.restart, name)
    rig.figures["P7 failed"] = failed
    assert served > 0
    assert not failed, f"{failed} requests failed: {load.answers}, {load.broken} broken"


async def blind(rig: Rig, load: Load) -> None:
    """Redis is gone: who comes is told so at once, and streams that are open come to their end."""
    streams = [asyncio.create_task(ask(one, rig.tokens["free"], LONG, stream=True)) for one in rig.gateways]
    await asyncio.sleep(1)
    load.pause()
    await asyncio.to_thread(rig.parts["redis"].kill)
    try:
        answers: list[Answer] = []
        for _ in range(ASKED):
            answers += [await ask(one, rig.tokens["free"], "tokens=1") for one in rig.gateways]
        whole = await asyncio.gather(*streams)
    finally:
        await asyncio.to_thread(rig.parts["redis"].start)
        load.resume()
    for answer in whole:
        rig.witness.admit(answer.request_id, None)
    rig.figures["P8 told ms"] = 1000 * max(answer.first_s for answer in answers)
    rig.figures["P8 streams cut"] = sum(not answer.whole for answer in whole)
    wrong = {answer.status for answer in answers if answer.status != 503 or "retry-after" not in answer.headers}
    assert not wrong, f"without Redis: {wrong}"
    assert all(answer.whole for answer in whole), [answer.text[-200:] for answer in whole if not answer.whole]


async def emptied(rig: Rig, load: Load) -> None:
    """Redis is empty: until it is filled again all are told that, and nobody that their key is wrong."""
    load.pause()
    async with aioredis.from_url(rig.parts["redis"].url) as client:
        await client.flushall()
    began = time.monotonic()
    statuses: set[int] = set()
    for gateway in rig.gateways:
        status = 0
        while status != 200:
            assert time.monotonic() < began + WITHIN_S, f"in {WITHIN_S:.0f} s there were {statuses}"
            answer = await ask(gateway, rig.tokens["free"], "tokens=1")
            status = answer.status
            statuses.add(status)
        rig.witness.admit(answer.request_id, None)
    rig.figures["P9 rebuilt"] = time.monotonic() - began
    load.resume()
    assert statuses == {200, 503}, f"while Redis was filled: {statuses}"


FAULTS = (
    Fault("key revoked while its stream is open", revoked),
    Fault("organisation suspended while its stream is open", suspended),
    Fault(f"all but Redis and engine down for {DOWN_S:.0f} s", alone),
    Fault("Redis: kill -9, with streams open", blind),
    Fault("Redis: FLUSHALL, until both serve", emptied),
)

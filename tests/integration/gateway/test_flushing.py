"""What was written counts as handed over once the kernel has it, also while Redis does not read."""

import asyncio
import signal
import socket
import subprocess
import sys
import time
from typing import cast

from ias.contract.redis_url import read_redis_url
from ias_gateway.asked import Asked, Then
from ias_gateway.ledger import Ledger
from ias_gateway.log import Log
from ias_gateway.outlet import Outlet
from ias_gateway.redis import Redis, pack
from ias_gateway.telemetry import Metrics
from tests.integration.gateway.place import eventually
from tests.services import Services

TIMEOUT_S = 0.25
MUCH = 64 << 20
"""More than sockets hold."""
KILLED = """
import asyncio, os, signal, sys
from ias_gateway.asked import Then
from ias_gateway.redis import Redis, pack
from tests.integration.gateway.test_flushing import connected

async def main():
    redis = await connected(sys.argv[1], 10.0)
    redis.write("", Then(lambda _: None), pack(("SET", "told", "1")), last=True)
    assert redis.flushed("").done
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def connected(url: str, timeout_s: float) -> Redis:
    """A connection that is open."""
    redis = Redis(read_redis_url(url), timeout_s, lambda _: None)
    redis.start()

    async def is_open() -> bool:
        return redis.connected

    await eventually(is_open)
    return redis


async def test_nothing_counts_as_handed_over_that_redis_has_not_read_yet(services: Services) -> None:
    with services.fresh("redis") as service:
        redis = await connected(service.url, 10.0)
        service.stop()
        try:
            redis.write("", Then(lambda _: None), pack(("SET", "much", b"-" * MUCH)))
            handed_over = redis.flushed("")
            for _ in range(3):
                await asyncio.sleep(0)
            assert not handed_over.done
        finally:
            service.cont()

        async def done() -> bool:
            return handed_over.done

        await eventually(done)
        await redis.close()


async def test_a_command_that_nothing_was_sent_before_has_been_handed_over_at_once(services: Services) -> None:
    with services.fresh("redis") as service:
        redis = await connected(service.url, 10.0)
        alone = redis.ask("", pack(("PING",)))
        assert redis.flushed("").done
        behind = [redis.ask("", pack(("ECHO", str(number)))) for number in range(3)]
        assert not redis.flushed("").done

        async def answered() -> bool:
            return behind[-1].done

        await eventually(answered)
        assert [await alone, *[await each for each in behind]] == [b"PONG", b"0", b"1", b"2"]
        await redis.close()


async def test_a_pause_of_the_gateway_is_not_taken_for_a_redis_that_does_not_answer(services: Services) -> None:
    with services.fresh("redis") as service:
        redis = await connected(service.url, TIMEOUT_S)
        for _ in range(5):
            # The first leaves at once, the second in the loop's next turn.
            at_once, asked = redis.ask("", pack(("PING",))), redis.ask("", pack(("PING",)))
            time.sleep(TIMEOUT_S + 0.1)  # noqa: ASYNC251 - that is the point

            async def answered(asked: Asked = asked) -> bool:
                return asked.done

            await eventually(answered)
            assert await at_once == await asked == b"PONG"
        await redis.close()


async def test_a_question_leaves_at_once_while_no_other_question_is_awaited(services: Services) -> None:
    with services.fresh("redis") as service:
        redis = await connected(service.url, 10.0)
        redis.write("", Then(lambda _: None), pack(("PING",)), last=True)
        there = []
        for _ in range(2):
            redis.ask("", pack(("PING",)))
            there.append(redis.handed_over(""))
        assert there == [True, False]
        await asyncio.sleep(0)
        assert redis.handed_over("")
        await redis.close()


async def test_what_a_full_socket_does_not_take_is_not_handed_over(services: Services) -> None:
    with services.fresh("redis") as service:
        redis = await connected(service.url, 10.0)
        service.stop()
        try:
            redis.write("", Then(lambda _: None), pack(("SET", "much", b"-" * MUCH)))
            await asyncio.sleep(0)
            redis.ask("", pack(("PING",)))
            assert not redis.handed_over("")
        finally:
            service.cont()

        async def taken() -> bool:
            return redis.handed_over("")

        await eventually(taken)
        await redis.close()


async def held_back(outlet: Outlet, far: socket.socket) -> bool:
    """Whether what is last is nowhere but in the kernel until the loop's next turn, and arrives then."""
    outlet.write(b"settled", soon=True, last=True)
    try:
        here = not outlet.flushed().done or bool(far.recv(100, socket.MSG_PEEK))
    except BlockingIOError:
        here = False
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        assert await asyncio.get_running_loop().sock_recv(far, 100) == b"settled"
    return not here


async def test_a_settlement_wakes_nobody_before_its_client_is_answered() -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as server:
        transport, _ = await loop.create_connection(asyncio.Protocol, *server.getsockname())
        far, _ = server.accept()
        with far:
            far.setblocking(False)
            outlet = Outlet(loop)
            outlet.open(cast("asyncio.Transport", transport))
            # The kernel holds nothing back for longer than 200 ms: a machine may stand still that long, but not always.
            assert True in [await held_back(outlet, far) for _ in range(5)]
            assert transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK) == 0
            outlet.write(b"asked", soon=True, last=False)
            assert await loop.sock_recv(far, 100) == b"asked"
            outlet.shut()
            transport.abort()
            assert await loop.sock_recv(far, 1) == b""


def holds_back(redis: Redis) -> bool:
    """Whether the kernel sends nothing of this connection yet."""
    taken = redis._outlet._socket
    assert taken is not None
    return taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_CORK) == 1


async def test_what_the_ledger_settles_is_held_back_and_what_it_asks_is_not(services: Services) -> None:
    with services.fresh("redis") as service:
        redis = await connected(service.url, 10.0)
        ledger = Ledger(redis, ("gw", 30), Metrics(), Log("gateway", "error"))
        ledger.send("tag", "request", pack(("ECHO", "-")))
        assert holds_back(redis)

        async def settled() -> bool:
            return not ledger.unsettled

        await eventually(settled)
        asked = redis.ask("tag", pack(("PING",)))
        assert not holds_back(redis)

        async def answered() -> bool:
            return asked.done

        await eventually(answered)
        await redis.close()


async def test_a_settlement_that_is_held_back_arrives_though_its_gateway_is_killed(services: Services) -> None:
    with services.fresh("redis") as service:
        killed = subprocess.run([sys.executable, "-c", KILLED, service.url], check=False, timeout=60)  # noqa: ASYNC221 - nothing else runs
        assert killed.returncode == -signal.SIGKILL
        redis = await connected(service.url, 10.0)

        async def told() -> bool:
            return await redis.call("GET", "told") == b"1"

        await eventually(told)
        await redis.close()

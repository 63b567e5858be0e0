"""What was written counts as handed over once the kernel has it, also while Redis does not read."""

import asyncio
import time

from ias.contract.redis_url import read_redis_url
from ias_gateway.asked import Asked, Then
from ias_gateway.redis import Redis, pack
from tests.integration.gateway.place import eventually
from tests.services import Service, Services

TIMEOUT_S = 0.25
MUCH = 64 << 20
"""More than sockets hold."""


async def connected(service: Service, timeout_s: float) -> Redis:
    """A connection that is open."""
    redis = Redis(read_redis_url(service.url), timeout_s, lambda _: None)
    redis.start()

    async def is_open() -> bool:
        return redis.connected

    await eventually(is_open)
    return redis


async def test_nothing_counts_as_handed_over_that_redis_has_not_read_yet(services: Services) -> None:
    with services.fresh("redis") as service:
        redis = await connected(service, 10.0)
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
        redis = await connected(service, 10.0)
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
        redis = await connected(service, TIMEOUT_S)
        for _ in range(5):
            # The first leaves at once, the second in the loop's next turn.
            at_once, asked = redis.ask("", pack(("PING",))), redis.ask("", pack(("PING",)))
            time.sleep(TIMEOUT_S + 0.1)  # noqa: ASYNC251 - that is the point

            async def answered(asked: Asked = asked) -> bool:
                return asked.done

            await eventually(answered)
            assert await at_once == await asked == b"PONG"
        await redis.close()

"""The rig itself: what other tests rely on when they ask for services."""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

import aio_pika
import asyncpg
import pytest
import redis.asyncio as aioredis
from redis.exceptions import ConnectionError as RedisGone

from tests.services import NotOurs, Services, free_port
from tests.services.service import GivenService

LIBRARY = "#!lua name=rig\nredis.register_function('twice', function(keys, args) return args[1] * 2 end)"


async def test_postgres_answers_in_both_worlds(world: Services) -> None:
    connection = await asyncpg.connect(world.database_url)
    assert int(await connection.fetchval("SHOW server_version_num")) >= 170000
    assert int(await connection.fetchval("SHOW max_connections")) >= 300
    await connection.close()


async def test_each_test_may_have_an_empty_database_of_its_own(world: Services) -> None:
    with world.database() as first, world.database() as second:
        for url in (first, second):
            connection = await asyncpg.connect(url)
            await connection.execute("CREATE TABLE only_here (id int)")
            await connection.close()


async def test_a_template_is_filled_once_and_copied_whole(world: Services) -> None:
    fillings: list[str] = []

    def fill(url: str) -> None:
        fillings.append(url)
        asyncio.run(_execute(url, "CREATE TABLE filled AS SELECT 42 AS answer"))

    name = f"test {free_port()}"
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: world.template(name, fill), range(4)))
    assert len(fillings) == 1
    assert len(set(made)) == 1
    with ThreadPoolExecutor(4) as threads:
        copies = list(threads.map(world.fresh_database, made))
    for copy in copies:
        connection = await asyncpg.connect(copy)
        assert await connection.fetchval("SELECT answer FROM filled") == 42
        await connection.close()


async def test_a_database_is_dropped_even_with_a_connection_left_open(world: Services) -> None:
    with world.database() as url:
        connection = await asyncpg.connect(url)
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await connection.fetchval("SELECT 1")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(url)


async def test_a_hypertable_works_where_timescale_is_promised(services: Services) -> None:
    services.need("timescale")
    template = services.template("timescale", lambda url: asyncio.run(_execute(url, "CREATE EXTENSION timescaledb")))
    with services.database(template) as url:
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE seen (at timestamptz NOT NULL, tokens int)")
        await connection.execute("SELECT create_hypertable('seen', 'at')")
        await connection.execute("INSERT INTO seen VALUES (now(), 7)")
        assert await connection.fetchval("SELECT sum(tokens) FROM seen") == 7
        await connection.close()


async def test_the_embedded_world_says_why_it_lacks_a_broker_and_timescale(embedded: Services) -> None:
    assert embedded.amqp_url is None
    assert not embedded.timescale
    for what in ("rabbitmq", "timescale"):
        with pytest.raises(pytest.skip.Exception, match="wheels"):
            embedded.need(what)


async def test_redis_keeps_what_it_was_told_and_runs_functions(world: Services) -> None:
    client = aioredis.from_url(world.redis_url, decode_responses=True)
    wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction"}
    for name, value in wanted.items():
        assert (await client.config_get(name))[name] == value
    await client.function_load(LIBRARY, replace=True)
    assert await client.fcall("twice", 0, 21) == 42
    await client.aclose()


async def test_redis_of_a_test_comes_back_after_a_kill_with_its_data_and_after_a_wipe_without(world: Services) -> None:
    with world.fresh("redis") as ours:
        client = aioredis.from_url(ours.url)
        await client.set("kept", 1)
        await client.execute_command("WAITAOF", 1, 0, 60_000)
        ours.kill()
        assert not ours.running
        with pytest.raises(RedisGone):
            await client.get("kept")
        ours.start()
        assert await client.get("kept") == b"1"
        await client.connection_pool.disconnect()
        ours.wipe()
        ours.start()
        assert await client.get("kept") is None
        await client.aclose()


async def test_a_stopped_redis_is_silent_until_it_continues(world: Services) -> None:
    with world.fresh("redis") as ours:
        client = aioredis.from_url(ours.url)
        await client.ping()
        ours.stop()
        asked = asyncio.create_task(client.ping())
        await asyncio.sleep(0.3)
        assert not asked.done()
        assert ours.running
        ours.cont()
        assert await asked
        await client.aclose()


async def test_settings_of_a_fresh_service_go_over_the_rigs_own(world: Services) -> None:
    with world.fresh("redis", {"maxmemory": "3mb"}) as ours:
        client = aioredis.from_url(ours.url)
        assert (await client.config_get("maxmemory"))["maxmemory"] == str(3 * 1024 * 1024)
        await client.aclose()
    with world.fresh("postgres", {"fsync": "on"}) as durable:
        assert await _value(durable.url, "SHOW fsync") == "on"


async def test_postgres_of_a_test_survives_a_kill_and_a_stop(world: Services) -> None:
    with world.fresh("postgres") as ours:
        await _execute(ours.url, "CREATE TABLE kept AS SELECT 1 AS one")
        ours.kill()
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncpg.connect(ours.url)
        ours.start()
        assert await _value(ours.url, "SELECT one FROM kept") == 1
        ours.stop()
        with pytest.raises(TimeoutError):
            await asyncpg.connect(ours.url, timeout=0.3)
        ours.cont()
        assert await _value(ours.url, "SELECT one FROM kept") == 1
        ours.wipe()
        ours.start()
        assert await _value(ours.url, "SELECT to_regclass('kept')") is None


async def test_a_virtual_host_is_empty_each_time_and_carries_quorum_queues(services: Services) -> None:
    services.need("rabbitmq")
    for _ in range(2):
        with services.virtual_host() as url:
            connection = await aio_pika.connect(url)
            channel = await connection.channel(publisher_confirms=True)
            queue = await _quorum_queue(channel)
            assert queue.declaration_result.message_count == 0
            await channel.default_exchange.publish(aio_pika.Message(b"tokens", delivery_mode=2), queue.name)
            assert (await queue.get()).body == b"tokens"
            await connection.close()


async def test_a_confirmed_message_survives_a_kill_of_the_broker(services: Services) -> None:
    services.need("rabbitmq")
    with services.fresh("rabbitmq") as ours:
        connection = await aio_pika.connect(ours.url)
        channel = await connection.channel(publisher_confirms=True)
        queue = await _quorum_queue(channel)
        await channel.default_exchange.publish(aio_pika.Message(b"tokens", delivery_mode=2), queue.name)
        # RabbitMQ 4.0 forgets which log is the queue's if killed within a second of its declaration.
        await asyncio.sleep(2)
        ours.restart()
        again = await aio_pika.connect(ours.url)
        queue = await _quorum_queue(await again.channel())
        assert (await queue.get(timeout=30)).body == b"tokens"
        await again.close()
        ours.wipe()
        ours.start()
        empty = await aio_pika.connect(ours.url)
        queue = await _quorum_queue(await empty.channel())
        assert await queue.get(fail=False) is None
        await empty.close()


def test_a_given_service_has_an_address_and_refuses_harm() -> None:
    given = GivenService("redis://127.0.0.1:1/0")
    for verb in (given.start, given.kill, given.stop, given.cont, given.restart, given.wipe):
        with pytest.raises(NotOurs, match="given by the environment"):
            verb()


def test_no_port_is_handed_out_twice_and_each_is_free() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    for port in ports:
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))


async def _execute(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(sql)
    await connection.close()


async def _value(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def _quorum_queue(channel: aio_pika.abc.AbstractChannel) -> aio_pika.abc.AbstractQueue:
    return await channel.declare_queue("lasting", durable=True, arguments={"x-queue-type": "quorum"})

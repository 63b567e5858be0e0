"""How RabbitMQ is: reachable, everything declared as it should be, queues consumed, no dead letters."""

from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

import aio_pika
import httpx
import msgspec
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, ChannelNotFoundEntity, ChannelPreconditionFailed

from ias.bus import dead_letters, declared
from ias.contract.usage import ANALYTICS_QUEUE, EXCHANGE, LEDGER_QUEUE, ROUTING_KEY
from ias.settings import settings
from ias.vitals.findings import Figure, Finding, judged, listed, well, wrong

NAME = "rabbitmq"
QUEUES = (LEDGER_QUEUE, ANALYTICS_QUEUE)
CONNECT_S = 2.0
ANSWER_S = 2.0


class _Queue(msgspec.Struct, frozen=True):
    """A queue as it is; `fault` is what is wrong with how it was declared."""

    name: str
    messages: int = 0
    consumers: int = 0
    fault: str = ""


class _Binding(msgspec.Struct, frozen=True):
    routing_key: str


_BINDINGS = msgspec.json.Decoder(list[_Binding])


async def look() -> list[Finding]:
    """RabbitMQ's findings."""
    url = settings().amqp_url
    if not url:
        return [well(NAME, "configured", "no broker: the relay hands settlements straight to the consumers")]
    try:
        async with await aio_pika.connect(url, timeout=CONNECT_S) as connection:
            queues = [await _queue(connection, name, declared(name)) for name in QUEUES]
            dead = [await _queue(connection, dead_letters(name), declared(dead_letters(name))) for name in QUEUES]
            faults = [*await _exchange(connection), *[queue.fault for queue in (*queues, *dead) if queue.fault]]
    except (*CONNECTION_EXCEPTIONS, TimeoutError) as error:
        remedy = "start RabbitMQ, or correct IAS_AMQP_URL; meanwhile settlements wait in Redis"
        said = f"no answer: {str(error) or type(error).__name__}"
        return [wrong(NAME, "reachable", said, remedy, Figure("ias_rabbitmq_up", 0))]
    unbound, seen = await _unbound(url)
    return [
        well(NAME, "reachable", "answers", Figure("ias_rabbitmq_up", 1)),
        _topology([*faults, *unbound], seen),
        *map(_depth, queues),
        *[_dead(queue, letters) for queue, letters in zip(queues, dead, strict=True)],
    ]


async def _queue(connection: AbstractConnection, name: str, arguments: Mapping[str, str | int]) -> _Queue:
    """Looks without making: what is missing stays so. Declaring what is there only compares."""
    queue = _Queue(name)
    try:
        channel = await connection.channel()
        found = (await channel.declare_queue(name, passive=True, timeout=ANSWER_S)).declaration_result
        queue = _Queue(name, found.message_count or 0, found.consumer_count or 0)
        await channel.declare_queue(name, durable=True, arguments=dict(arguments), timeout=ANSWER_S)
        await channel.close()
    except ChannelNotFoundEntity:
        return _Queue(name, fault=f"queue {name} is missing")
    except ChannelPreconditionFailed as error:
        return msgspec.structs.replace(queue, fault=f"queue {name} is another one: {error}")
    return queue


async def _exchange(connection: AbstractConnection) -> list[str]:
    try:
        channel = await connection.channel()
        await channel.declare_exchange(EXCHANGE, passive=True, timeout=ANSWER_S)
        await channel.declare_exchange(EXCHANGE, aio_pika.ExchangeType.TOPIC, durable=True, timeout=ANSWER_S)
        await channel.close()
    except ChannelNotFoundEntity:
        return [f"exchange {EXCHANGE} is missing"]
    except ChannelPreconditionFailed as error:
        return [f"exchange {EXCHANGE} is another one: {error}"]
    return []


async def _unbound(amqp_url: str) -> tuple[list[str], str]:
    """Queues that the exchange does not reach, and whether that could be seen: AMQP tells nobody."""
    management = settings().amqp_management_url
    if not management:
        return [], "; bindings cannot be seen without IAS_AMQP_MANAGEMENT_URL"
    broker = urlsplit(amqp_url)
    login = (unquote(broker.username or "guest"), unquote(broker.password or "guest"))
    host = quote(unquote(broker.path.removeprefix("/")) or "/", safe="")
    missing = []
    try:
        async with httpx.AsyncClient(base_url=management, auth=login, timeout=ANSWER_S) as client:
            for name in QUEUES:
                answer = await client.get(f"/api/bindings/{host}/e/{EXCHANGE}/q/{name}")
                keys = [binding.routing_key for binding in _BINDINGS.decode(answer.content)]
                if ROUTING_KEY not in keys:
                    missing.append(f"queue {name} is not bound to {EXCHANGE}")
    except (httpx.HTTPError, msgspec.MsgspecError) as error:
        return [f"the management plugin does not answer: {type(error).__name__}"], ""
    return missing, ""


def _topology(faults: list[str], unseen: str) -> Finding:
    said = listed(faults) if faults else f"exchange, queues and dead letters as declared{unseen}"
    remedy = "a worker makes what is missing; a queue of another kind must be emptied, deleted and made anew by one"
    figure = Figure("ias_rabbitmq_topology_faults", len(faults))
    return judged(not faults, wrong(NAME, "topology", said, remedy, figure))


def _depth(queue: _Queue) -> Finding:
    figures = (
        Figure("ias_queue_messages", queue.messages, queue.name),
        Figure("ias_queue_consumers", queue.consumers, queue.name),
    )
    said = f"{queue.messages} messages wait, {queue.consumers} consumers"
    remedy = "start a worker: nobody consumes this queue"
    return judged(queue.consumers > 0, wrong(f"queue {queue.name}", "consumed", said, remedy, *figures))


def _dead(queue: _Queue, letters: _Queue) -> Finding:
    said = f"{letters.messages} dead letters"
    remedy = "run `ias usage replay --all`: what can be taken in is, the rest goes to quarantine with its reason"
    figure = Figure("ias_dead_letters", letters.messages, queue.name)
    return judged(not letters.messages, wrong(f"queue {queue.name}", "dead letters", said, remedy, figure))

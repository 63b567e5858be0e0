"""RabbitMQ: the exchange and the queues of usage events, confirmed publishing, consuming with an ack after commit."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import cast

from aio_pika.abc import AbstractRobustChannel
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from faststream import AckPolicy
from faststream.rabbit import Channel, ExchangeType, QueueType, RabbitBroker, RabbitExchange, RabbitMessage, RabbitQueue
from loguru import logger

from ias.contract.crashpoints import Crashpoint, reached
from ias.contract.usage import EXCHANGE, ROUTING_KEY, UsageRecorded, encode_batch

PREFETCH = 64
"""Messages of a queue that one process has in hand at once: enough for a transaction at work and the next one."""
DELIVERY_LIMIT = 20
MOST_BYTES = 4 << 30
"""Of a queue; beyond it the broker refuses, and what is settled waits in Redis."""
CONFIRM_S = 10.0
GRACE_S = 15.0
PING_S = 1.0
RECONNECT_S = 1.0

Handler = Callable[[bytes], Awaitable[bool]]
"""Takes a message's body in and returns when that is committed; False sends the message to the dead letters."""

_DEAD = ".dead"
_USAGE = RabbitExchange(EXCHANGE, type=ExchangeType.TOPIC, durable=True)
_TROUBLE = (*CONNECTION_EXCEPTIONS, TimeoutError)


class BusDown(Exception):
    """RabbitMQ does not answer, or did not confirm."""


class Bus:
    """One connection to RabbitMQ: a publisher, and a consumer for each queue of `handlers`.

    Args:
        others: queues that other processes take from; they are made too, so that no event misses one.
    """

    def __init__(self, url: str, handlers: Mapping[str, Handler], others: Collection[str] = ()) -> None:
        self._url = url
        self._handlers = handlers
        self._others = others
        self._broker: RabbitBroker | None = None
        self._probe: AbstractRobustChannel | None = None

    async def watch(self) -> None:
        """Connect where there is no connection, and begin anew where a queue has gone or lost its consumers.

        Raises:
            BusDown: RabbitMQ does not answer.
        """
        try:
            if self._probe is not None and not await self._consumed(self._probe):
                logger.warning("a queue of RabbitMQ had gone, or nobody consumed it; connecting anew")
                await self.close()
            if self._broker is None:
                await self._open()
        except _TROUBLE as error:
            raise BusDown(f"RabbitMQ does not answer: {_said(error)}") from error

    async def check(self) -> None:
        """Nothing, where there is a connection.

        Raises:
            BusDown: there is none.
        """
        if self._broker is None or not await self._broker.ping(PING_S):
            raise BusDown("there is no connection to RabbitMQ")

    async def publish(self, events: Sequence[UsageRecorded]) -> None:
        """Publish events as one message; returns once the broker has confirmed that every queue has it.

        Raises:
            BusDown: it has not, or there is no queue for it; whether one has it is not known.
        """
        if self._broker is None:
            raise BusDown("there is no connection to RabbitMQ")
        try:
            await self._broker.publish(
                encode_batch(events),
                exchange=_USAGE,
                routing_key=ROUTING_KEY,
                mandatory=True,
                persist=True,
                timeout=CONFIRM_S,
                content_type="application/json",
            )
        except _TROUBLE as error:
            raise BusDown(f"RabbitMQ did not confirm: {_said(error)}") from error
        reached(Crashpoint.AFTER_PUBLISH)

    async def close(self) -> None:
        """Take no more messages, finish those in hand, disconnect."""
        broker, self._broker, self._probe = self._broker, None, None
        if broker is not None:
            await broker.stop()

    async def _open(self) -> None:
        broker = RabbitBroker(
            self._url,
            default_channel=Channel(on_return_raises=True),
            graceful_timeout=GRACE_S,
            reconnect_interval=RECONNECT_S,
            apply_types=False,
            logger=None,
        )
        for name, handler in self._handlers.items():
            subscribe = broker.subscriber(
                _queue(name),
                _USAGE,
                channel=Channel(prefetch_count=PREFETCH),
                ack_policy=AckPolicy.MANUAL,
                decoder=_as_it_came,
                no_reply=True,
            )
            subscribe(_acknowledging(handler))
        try:
            connection = await broker.connect()
            # Before the consumers do: an exchange stays with the channel that it was first declared on, and only the
            # default channel raises what comes back unroutable.
            await broker.declare_exchange(_USAGE)
            for name in (*self._handlers, *self._others):
                await broker.declare_queue(_dead_letters(dead_letters(name)))
            for name in self._others:
                queue = await broker.declare_queue(_queue(name))
                await queue.bind(EXCHANGE, ROUTING_KEY, timeout=CONFIRM_S)
            await broker.start()
            self._probe = await connection.channel()
        except BaseException:
            await broker.stop()
            raise
        self._broker = broker

    async def _consumed(self, probe: AbstractRobustChannel) -> bool:
        """Whether every queue of ours has a consumer; a queue or binding that has gone is made again by asking."""
        for name in (*self._others, *self._handlers):
            queue = _queue(name)
            answer = await probe.declare_queue(
                name, durable=True, arguments=queue.arguments, robust=False, timeout=CONFIRM_S
            )
            await answer.bind(EXCHANGE, ROUTING_KEY, timeout=CONFIRM_S)
            if name in self._handlers and not answer.declaration_result.consumer_count:
                return False
        return True


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _queue(name: str) -> RabbitQueue:
    """A quorum queue that refuses when it is full, and loses nothing on the way to its dead letters."""
    return RabbitQueue(
        name,
        queue_type=QueueType.QUORUM,
        durable=True,
        routing_key=ROUTING_KEY,
        arguments={
            "x-overflow": "reject-publish",
            "x-max-length-bytes": MOST_BYTES,
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-strategy": "at-least-once",
            "x-dead-letter-exchange": "",
            "x-dead-letter-routing-key": dead_letters(name),
        },
    )


def declared(name: str) -> Mapping[str, str | int]:
    """The arguments that a queue, or a dead-letter queue, is declared with."""
    queue = _dead_letters(name) if name.endswith(_DEAD) else _queue(name)
    return cast("Mapping[str, str | int]", queue.arguments)


def dead_letters(name: str) -> str:
    """The name of a queue's dead-letter queue."""
    return f"{name}{_DEAD}"


def _dead_letters(name: str) -> RabbitQueue:
    return RabbitQueue(name, queue_type=QueueType.QUORUM, durable=True)


async def _as_it_came(message: RabbitMessage) -> RabbitMessage:
    return message


def _acknowledging(handler: Handler) -> Callable[[RabbitMessage], Awaitable[None]]:
    async def handle(message: RabbitMessage) -> None:
        if await handler(message.body):
            await message.ack()
        else:
            await message.reject(requeue=False)

    return handle

"""The supervisor of several workers: starts them on one port, starts again what dies, drains them all.

Each worker is a whole gateway process with its own event loop and Redis connection. All listen on the public port by
SO_REUSEPORT, so that the kernel spreads connections, and forgets a process that dies. The supervisor carries no
request; it answers the private port for all.
"""

import asyncio
import signal
import socket
from collections.abc import Sequence

from ias_gateway.ending import LAST_WORDS_S, stop_asked
from ias_gateway.head import Bounds
from ias_gateway.log import Log
from ias_gateway.overview import Overview
from ias_gateway.server import Server
from ias_gateway.settings import GatewaySettings
from ias_gateway.worker import Worker

REPORT_EVERY_S = 2.0
GRACE_S = 5.0
"""What a worker gets beyond its drain window before it is killed."""


async def supervise(settings: GatewaySettings) -> None:
    """Run `gateway_workers` workers until SIGTERM or SIGINT; returns when all have drained.

    Raises:
        OSError: a port is taken.
    """
    log = Log("gateway-supervisor", settings.log_level)
    stop = stop_asked()
    workers = [Worker(index, f"{settings.gateway_name}-{index}", log) for index in range(settings.gateway_workers)]
    overview = Overview(workers)
    private = Server(overview.answer, Bounds(settings.max_body_bytes))
    await private.listen(settings.gateway_metrics_host, settings.gateway_metrics_port)
    await must_be_free(settings.gateway_host, settings.gateway_port)
    lives = [asyncio.create_task(worker.live()) for worker in workers]
    watch = asyncio.create_task(overview.watch(REPORT_EVERY_S))
    log.line("info", "supervising", workers=len(workers), host=settings.gateway_host, port=settings.gateway_port)
    log.flush()
    await stop.wait()
    log.line("info", "draining", workers=len(workers))
    log.flush()
    await _drain(workers, lives, settings.drain_timeout + 2 * LAST_WORDS_S + GRACE_S, log)
    watch.cancel()
    private.close()
    log.line("info", "stopped")
    log.flush()


async def must_be_free(host: str, port: int) -> None:
    """See that nobody listens on the public port: with SO_REUSEPORT, two gateways could share it unawares.

    Raises:
        OSError: it is taken.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as probe:
            # As every server: connections of one that ended do not hold the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)


async def _drain(workers: Sequence[Worker], lives: Sequence[asyncio.Task[None]], within: float, log: Log) -> None:
    for worker in workers:
        worker.stop()
    _, late = await asyncio.wait(lives, timeout=within)
    if late:
        log.line("error", "workers that did not drain are killed", workers=len(late), after_s=within)
        for worker in workers:
            worker.signal(signal.SIGKILL)
        await asyncio.wait(lives)

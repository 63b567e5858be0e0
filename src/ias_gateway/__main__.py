"""`ias-gateway`: starts the gateway on uvloop, alone or as several workers."""

import argparse
import errno
import socket

import uvloop

from ias_gateway.app import serve
from ias_gateway.descriptors import raise_limit
from ias_gateway.log import Log, never_wait
from ias_gateway.settings import MOST_WORKERS, GatewaySettings, read_settings
from ias_gateway.workers import supervise


def main() -> None:
    """Run the gateway with the settings of the environment."""
    asked = _parser().parse_args()
    never_wait()
    settings = read_settings()
    if asked.workers is not None:
        settings = settings.model_copy(update={"gateway_workers": asked.workers})
    if not asked.as_worker:
        # Workers inherit it.
        raise_limit(settings.max_streams, Log("gateway", settings.log_level))
    try:
        if asked.as_worker:
            name, line = asked.as_worker
            named = settings.model_copy(update={"gateway_name": name})
            uvloop.run(serve(named, socket.socket(fileno=int(line))))
        elif settings.gateway_workers > 1:
            uvloop.run(supervise(settings))
        else:
            uvloop.run(serve(settings))
    except OSError as error:
        raise _explained(error, settings) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="ias-gateway", description="Serves /v1; settings are IAS_* variables.")
    text = "processes that share the public port (IAS_GATEWAY_WORKERS; 1)"
    parser.add_argument("--workers", type=_workers, metavar="N", help=text)
    parser.add_argument("--as-worker", nargs=2, help=argparse.SUPPRESS)
    return parser


def _workers(given: str) -> int:
    """How many workers.

    Raises:
        ArgumentTypeError: that is not how many can be.
    """
    number = int(given) if given.isdecimal() else 0
    if not 1 <= number <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"give a number from 1 to {MOST_WORKERS}, best that of the cores")
    return number


def _explained(error: OSError, settings: GatewaySettings) -> BaseException:
    if error.errno != errno.EADDRINUSE:
        return error
    ports = f"{settings.gateway_port} or {settings.gateway_metrics_port}"
    return SystemExit(
        f"ias-gateway: port {ports} is taken; set IAS_GATEWAY_PORT or IAS_GATEWAY_METRICS_PORT to a free one"
    )


if __name__ == "__main__":
    main()

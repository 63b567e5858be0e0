"""`ias-gateway`: starts the gateway on uvloop."""

import argparse
import errno

import uvloop

from ias_gateway.app import serve
from ias_gateway.settings import read_settings


def main() -> None:
    """Run the gateway with the settings of the environment."""
    parser = argparse.ArgumentParser(prog="ias-gateway", description="Serves /v1; settings are IAS_* variables.")
    parser.parse_args()
    settings = read_settings()
    try:
        uvloop.run(serve(settings))
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        ports = f"{settings.gateway_port} or {settings.gateway_metrics_port}"
        message = f"ias-gateway: port {ports} is taken; set IAS_GATEWAY_PORT or IAS_GATEWAY_METRICS_PORT to a free one"
        raise SystemExit(message) from None


if __name__ == "__main__":
    main()

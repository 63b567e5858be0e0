"""File descriptors: a gateway takes all that it may, and says where that is too few."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.gateway.place import environment, logged
from tests.product.processes import BIN, Process
from tests.services import Services, free_port

FEW = "too few file descriptors for IAS_MAX_STREAMS"


def begun(services: Services, folder: Path, limits: str, **settings: str) -> tuple[int, list[dict[str, Any]]]:
    """Start a gateway under these limits and end it: the most that it may open, and the warnings of its log."""
    ports = free_port(), free_port()
    probes = f"http://127.0.0.1:{ports[1]}"
    argv = ("/bin/sh", "-c", f'{limits}; exec "$0"', str(BIN / "ias-gateway"))
    with services.fresh("redis") as redis:
        process = Process("gateway", argv, environment(redis, ports, **settings), folder, f"{probes}/health")
        try:
            process.start()
            process.wait_ready()
            lines = httpx.get(f"{probes}/metrics", timeout=30).text.splitlines()
        finally:
            process.end()
    most = next(line for line in lines if line.startswith("process_max_fds"))
    return round(float(most.split()[1])), [line for line in logged(folder, "gateway") if line["level"] == "warning"]


def test_a_gateway_may_open_all_that_the_system_allows(services: Services, tmp_path: Path) -> None:
    most, warnings = begun(services, tmp_path, "ulimit -Sn 256; ulimit -Hn 1500")
    assert (most, [line for line in warnings if line["event"] == FEW]) == (1500, [])


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_gateway_that_may_open_too_little_says_once_what_to_do(
    services: Services, tmp_path: Path, workers: str
) -> None:
    limits = "ulimit -Sn 256; ulimit -Hn 300"
    _, warnings = begun(services, tmp_path, limits, IAS_MAX_STREAMS="200", IAS_GATEWAY_WORKERS=workers)
    (warning,) = [line for line in warnings if line["event"] == FEW]
    assert (warning["allowed"], warning["needed"]) == (300, 500)
    assert "raise the hard limit to 500" in warning["do"]

"""A Prometheus of our own that scrapes a product each second, with the rules as committed."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any

import httpx
from ruamel.yaml import YAML

from tests.observe.asked import RULES
from tests.observe.program import program
from tests.services import free_port

READY_WITHIN_S = 60.0
STEP_S = 2


@dataclass
class Prometheus:
    """A server that runs."""

    http: httpx.Client

    def now(self, query: str) -> list[dict[str, Any]]:
        """The series of a query that have a number at this moment."""
        found = self._get("/api/v1/query", query=query)["result"]
        return [series for series in found if series["value"][1] != "NaN"]

    def over(self, query: str, seconds: float) -> list[dict[str, Any]]:
        """The series of a query that have had a number in these last seconds."""
        end = time()
        found = self._get("/api/v1/query_range", query=query, start=end - seconds, end=end, step=STEP_S)["result"]
        return [series for series in found if any(value != "NaN" for _, value in series["values"])]

    def values(self, metric: str, label: str) -> list[str]:
        """The values that a label has had."""
        return self._get(f"/api/v1/label/{label}/values", **{"match[]": metric})

    def rules(self) -> list[dict[str, Any]]:
        """Every rule, with its health."""
        return [rule for group in self._get("/api/v1/rules")["groups"] for rule in group["rules"]]

    def targets(self) -> list[dict[str, Any]]:
        """What is scraped."""
        return self._get("/api/v1/targets")["activeTargets"]

    def _get(self, path: str, **query: object) -> Any:
        answer = self.http.get(path, params=query)
        assert answer.is_success, f"{query}: {answer.text}"
        return answer.json()["data"]


@contextmanager
def prometheus(folder: Path, jobs: Mapping[str, Sequence[str]]) -> Iterator[Prometheus]:
    """Prometheus, ready; `jobs` are host and port of the targets of each. Ended by its pid."""
    folder.mkdir(parents=True, exist_ok=True)
    every = f"{STEP_S}s"
    configuration = {
        "global": {"scrape_interval": every, "evaluation_interval": every},
        "rule_files": [str(path) for path in RULES],
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": list(targets)}]} for name, targets in jobs.items()
        ],
    }
    YAML(typ="safe", pure=True).dump(configuration, folder / "prometheus.yml")
    port = free_port()
    argv = (
        str(program("prometheus")),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    )
    with (folder / "prometheus.log").open("wb") as log:
        child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as http:
            _wait_ready(http, child, folder / "prometheus.log")
            yield Prometheus(http)
    finally:
        child.terminate()
        child.wait(30)


def _wait_ready(http: httpx.Client, child: subprocess.Popen[bytes], log: Path) -> None:
    until = monotonic() + READY_WITHIN_S
    while monotonic() < until and child.poll() is None:
        try:
            if http.get("/-/ready").is_success:
                return
        except httpx.HTTPError:
            pass
        sleep(0.1)
    raise RuntimeError(f"Prometheus is not ready: {log.read_text()[-2000:]}")

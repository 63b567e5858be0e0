"""The oracle's log and the counters."""

from pathlib import Path

import msgspec

from ias.dev.engine.metrics import Metrics
from ias.dev.engine.oracle import Oracle, Written


def written(name: str) -> Written:
    return Written(request_id=name, path="/v1/completions", started_at=1.0)


def test_a_line_is_on_disk_as_soon_as_the_request_is_over(tmp_path: Path) -> None:
    log = tmp_path / "log"
    oracle = Oracle(log)
    one, two = written("one"), written("two")
    oracle.begin(one)
    oracle.begin(two)
    oracle.end(one)
    assert [msgspec.json.decode(line)["request_id"] for line in log.read_bytes().splitlines()] == ["one"]
    assert oracle.live() == [two]


def test_a_log_that_is_there_is_gone_on_with(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for name in ("one", "two"):
        Oracle(log).end(written(name))
    assert len(log.read_bytes().splitlines()) == 2


def test_one_goes_on_reading_where_one_stopped() -> None:
    oracle = Oracle(None)
    for name in "abc":
        oracle.end(written(name))
    assert [entry.request_id for entry in oracle.over(0)] == ["a", "b", "c"]
    last = oracle.over(2)[-1].number
    oracle.clear()
    oracle.end(written("d"))
    assert [entry.request_id for entry in oracle.over(last + 1)] == ["d"]


def test_times_to_first_tokens_add_up_in_the_histogram() -> None:
    metrics = Metrics()
    for seconds in (0.001, 0.03, 99.0, 9999.0):
        metrics.first_token(seconds)
    lines = metrics.exposition("m", (0, 0, 1)).decode().splitlines()
    found = {line.split('le="')[1].split('"')[0]: line.split()[-1] for line in lines if "_bucket" in line}
    assert (found["0.001"], found["0.04"], found["80.0"], found["+Inf"]) == ("1.0", "2.0", "2.0", "4.0")
